import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import ids, topics

users = st.from_regex(r"[a-z0-9][a-z0-9_-]{1,31}", fullmatch=True).map(ids.UserId)
devices = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True).map(ids.DeviceId)
convs = st.builds(ids.direct, users, users) | st.binary(min_size=8, max_size=8).map(ids.group)

ALICE, BOB = ids.UserId("alice"), ids.UserId("bob")
PHONE = ids.DeviceId("Phone")

# Section 2 of the protocol: the name, and what it means.
TABLE = [
    ("pabal/v1/up/alice/Phone", topics.up(ALICE, PHONE), topics.Up(ALICE, PHONE)),
    ("pabal/v1/down/alice/Phone", topics.down(ALICE, PHONE), topics.Down(ALICE, PHONE)),
    ("pabal/v1/inbox/alice", topics.inbox(ALICE), topics.Inbox(ALICE)),
    ("pabal/v1/live/alice", topics.live(ALICE), topics.Live(ALICE)),
    ("pabal/v1/room/alice~bob", topics.room(ids.direct(ALICE, BOB)), topics.Room(ids.direct(ALICE, BOB))),
    ("pabal/v1/presence/alice", topics.presence(ALICE), topics.Presence(ALICE)),
    ("pabal/v1/status/alice/Phone", topics.status(ALICE, PHONE), topics.Status(ALICE, PHONE)),
    ("pabal/v1/svc/web-1/up", topics.service_up("web-1"), topics.ServiceUp("web-1")),
    ("pabal/v1/svc/web-1/down", topics.service_down("web-1"), topics.ServiceDown("web-1")),
]


@pytest.mark.parametrize(("name", "built", "meaning"), TABLE)
def test_each_topic_is_named_as_the_contract_says_and_read_back(name, built, meaning):
    assert built == name
    assert topics.parse(name) == meaning


@given(users, devices, convs)
def test_what_is_built_is_parsed_back(user, device, conv):
    assert topics.parse(topics.up(user, device)) == topics.Up(user, device)
    assert topics.parse(topics.down(user, device)) == topics.Down(user, device)
    assert topics.parse(topics.inbox(user)) == topics.Inbox(user)
    assert topics.parse(topics.live(user)) == topics.Live(user)
    assert topics.parse(topics.room(conv)) == topics.Room(conv)
    assert topics.parse(topics.presence(user)) == topics.Presence(user)
    assert topics.parse(topics.status(user, device)) == topics.Status(user, device)
    assert topics.parse(topics.service_up(device)) == topics.ServiceUp(device)
    assert topics.parse(topics.service_down(device)) == topics.ServiceDown(device)
    assert topics.is_valid_name(topics.up(user, device))


def rebuilt(topic):  # noqa: PLR0911 -- one line for each kind of topic
    match topic:
        case topics.Up(user, device):
            return topics.up(user, device)
        case topics.Down(user, device):
            return topics.down(user, device)
        case topics.Inbox(user):
            return topics.inbox(user)
        case topics.Live(user):
            return topics.live(user)
        case topics.Room(conv):
            return topics.room(conv)
        case topics.Presence(user):
            return topics.presence(user)
        case topics.Status(user, device):
            return topics.status(user, device)
        case topics.ServiceUp(instance):
            return topics.service_up(instance)
        case topics.ServiceDown(instance):
            return topics.service_down(instance)


words = st.sampled_from(
    [
        "up",
        "down",
        "inbox",
        "live",
        "room",
        "presence",
        "status",
        "svc",
        "alice",
        "bob",
        "alice~bob",
        "Phone",
        "w",
        "",
    ]
)


@given(st.lists(words, max_size=4).map("/".join))
def test_whatever_is_parsed_is_built_back_into_the_very_same_name(rest):
    name = topics.ROOT + rest
    meaning = topics.parse(name)
    assert meaning is None or rebuilt(meaning) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "pabal",
        "pabal/v1",
        "pabal/v1/",
        "pabal/v2/inbox/alice",
        "/pabal/v1/inbox/alice",
        "Pabal/v1/inbox/alice",
        "pabal/v1/up/alice",
        "pabal/v1/up/alice/Phone/",
        "pabal/v1/up/alice/Phone/x",
        "pabal/v1/up//Phone",
        "pabal/v1/up/Alice/Phone",
        "pabal/v1/up/alice/Ph one",
        "pabal/v1/up/+/Phone",
        "pabal/v1/up/alice/#",
        "pabal/v1/inbox/",
        "pabal/v1/inbox/+",
        "pabal/v1/inbox/#",
        "pabal/v1/inbox/alice/x",
        "pabal/v1/inbox/a\x00b",
        "pabal/v1/room/bob~alice",
        "pabal/v1/room/alice",
        "pabal/v1/presence",
        "pabal/v1/status/alice",
        "pabal/v1/svc/web/sideways",
        "pabal/v1/svc/web",
        "pabal/v1/svc//up",
        "pabal/v1/svc/up",
        "pabal/v1/upp/alice/x",
        "$SYS/broker",
        "$share/g/pabal/v1/inbox/alice",
        "sensors/kitchen",
        "x" * 70000,
        "pabal/v1/" + "a/" * 40000,
    ],
)
def test_a_topic_that_is_not_ours_means_nothing_here(name):
    assert topics.parse(name) is None


@given(st.text(max_size=40))
def test_no_text_makes_parsing_raise(text):
    assert topics.parse(text) is None
    topics.parse(topics.ROOT + text)


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("a", True),
        ("/", True),  # 4.7.3: a lone separator is a topic of two empty levels
        ("/a//b/", True),
        (" a b ", True),  # 4.7.3: spaces are allowed
        ("방/하나", True),
        ("$SYS/x", True),
        ("", False),  # MQTT-4.7.3-1: at least one character
        ("a/+", False),  # MQTT-3.3.2-2: no wildcard in a topic name
        ("#", False),
        ("a+b", False),
        ("a/b#", False),
        ("a\0b", False),  # MQTT-4.7.3-2: no U+0000
        ("a\ud800", False),  # MQTT-1.5.3-1: no half of a surrogate pair
        ("x" * 65_535, True),  # MQTT-4.7.3-3: at most 65,535 bytes
        ("x" * 65_536, False),
        ("한" * 21_845, True),  # three bytes each
        ("한" * 21_845 + "x", False),
    ],
)
def test_a_topic_name_is_what_may_be_published_to(name, valid):
    assert topics.is_valid_name(name) is valid


@pytest.mark.parametrize(
    ("topic_filter", "valid"),
    [
        ("a/b", True),
        ("#", True),
        ("+", True),
        ("/", True),
        ("+/+", True),
        ("/+", True),
        ("a/+/b", True),
        ("a/#", True),
        ("+/a/#", True),
        ("a/+/#", True),
        ("$SYS/#", True),
        ("", False),  # MQTT-4.7.3-1
        ("a#", False),  # MQTT-4.7.1-2: '#' on its own or following a separator
        ("a/#b", False),
        ("#/a", False),  # MQTT-4.7.1-2: and the last character
        ("a/#/b", False),
        ("#/", False),
        ("##", False),
        ("a/#/#", False),
        ("a+", False),  # MQTT-4.7.1-3: '+' occupies an entire level
        ("+a/b", False),
        ("++", False),
        ("+#", False),
        ("a/+b/c", False),
        ("a\0", False),  # MQTT-4.7.3-2
        ("\udfff/#", False),  # MQTT-1.5.3-1
        ("x" * 65_533 + "/#", True),  # MQTT-4.7.3-3
        ("x" * 65_534 + "/#", False),
    ],
)
def test_a_filter_is_what_may_be_subscribed_to(topic_filter, valid):
    assert topics.is_valid_filter(topic_filter) is valid


@given(st.text("ab/+#$", min_size=1, max_size=6))
def test_every_name_is_a_filter_and_every_filter_without_wildcard_a_name(text):
    assert topics.is_valid_name(text) == (topics.is_valid_filter(text) and not topics.has_wildcard(text))


@pytest.mark.parametrize(("text", "wild"), [("a/b", False), ("a/+", True), ("#", True), ("$a", False)])
def test_a_wildcard_is_noticed(text, wild):
    assert topics.has_wildcard(text) is wild


def as_regex(topic_filter):
    """A filter as the regular expression that the standard describes: the naive model of `matches`."""
    if topic_filter == "#":
        return r"(?!\$).*"
    body = re.escape(topic_filter).replace(r"\+", "[^/]*")
    if body.endswith(r"/\#"):
        body = body[: -len(r"/\#")] + "(/.*)?"
    return (r"(?!\$)" if topic_filter.startswith("+") else "") + body


def naively_matches(topic_filter, topic):
    return re.fullmatch(as_regex(topic_filter), topic, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matched"),
    [
        # 4.7.1.2, the standard's own examples
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/#", "sports", False),
        ("#", "a/b/c", True),
        # 4.7.1.3
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("+/tennis/#", "sport/tennis", True),
        # 4.7.2
        ("#", "$SYS/monitor", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("+", "$SYS", False),
        ("$SYS/#", "$SYS/monitor", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("a/+", "a/$b", True),
        ("a/#", "a/$b", True),
        # 4.7.3: case and leading separators count
        ("ACCOUNTS", "Accounts", False),
        ("/finance", "finance", False),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_a_filter_takes_in_what_the_standard_says(topic_filter, topic, matched):
    assert topics.matches(topic_filter, topic) is matched
    assert naively_matches(topic_filter, topic) is matched


levels = st.sampled_from(["", "a", "b", "$", "$a", "."])
names = st.lists(levels, min_size=1, max_size=5).map("/".join).filter(topics.is_valid_name)
filters = (
    st.lists(levels | st.just("+"), min_size=1, max_size=5)
    .flatmap(lambda parts: st.sampled_from([parts, [*parts, "#"], ["#"]]))
    .map("/".join)
    .filter(topics.is_valid_filter)
)


@given(filters, names)
def test_matching_is_what_the_regular_expression_says(topic_filter, topic):
    assert topics.matches(topic_filter, topic) is naively_matches(topic_filter, topic)


@given(names)
def test_a_name_matches_itself_as_a_filter(topic):
    assert topics.matches(topic, topic)


@given(names, st.data())
def test_a_filter_made_from_a_topic_matches_it_unless_it_hides_a_dollar(topic, data):
    parts = topic.split("/")
    wild = ["+" if data.draw(st.booleans()) else part for part in parts]
    cut = data.draw(st.integers(0, len(wild)))
    for topic_filter in ("/".join(wild), "/".join([*wild[:cut], "#"])):
        hides = topic.startswith("$") and topic_filter[0] in "+#"
        assert topics.matches(topic_filter, topic) is not hides


def small_universe():
    """Every topic of up to four levels of a small alphabet, and every filter of up to three."""
    words = ["", "a", "$b"]
    every_topic = ["/".join(t) for n in (1, 2, 3, 4) for t in itertools.product(words, repeat=n)]
    every_filter = {"/".join(f) for n in (1, 2, 3) for f in itertools.product([*words, "+", "#"], repeat=n)}
    return [t for t in every_topic if t], sorted(filter(topics.is_valid_filter, every_filter))


def test_two_filters_overlap_when_there_is_a_topic_that_both_take_in():
    every_topic, every_filter = small_universe()
    taken = {f: {t for t in every_topic if naively_matches(f, t)} for f in every_filter}
    assert len(every_filter) > 100
    for one, other in itertools.product(every_filter, repeat=2):
        assert topics.overlap(one, other) is bool(taken[one] & taken[other]), (one, other)


@given(filters, filters, names)
def test_filters_that_share_a_topic_overlap_and_it_does_not_matter_which_comes_first(one, other, topic):
    assert topics.overlap(one, other) is topics.overlap(other, one)
    assert topics.overlap(one, one)
    if topics.matches(one, topic) and topics.matches(other, topic):
        assert topics.overlap(one, other)
    assert topics.overlap(one, topic) is topics.matches(one, topic)


def test_the_longest_topics_that_mqtt_carries_are_compared_to_their_end():
    name, wild = "a" + "/a" * 32_767, "+" + "/+" * 32_767
    assert topics.matches(wild, name)
    assert topics.overlap(wild, name)
    assert not topics.matches(wild, name + "/a")
    assert not topics.matches(name[:-1] + "b", name)
    assert not topics.overlap(name[:-1] + "b", name)


def test_the_states_of_a_users_devices_are_below_one_topic():
    assert topics.status(ALICE, PHONE) == f"{topics.status_of(ALICE)}/{PHONE}"
