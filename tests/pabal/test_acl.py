import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import acl, topics
from pabal import messages as m
from pabal.errors import Forbidden
from pabal.ids import ConvId, DeviceId, UserId

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
PHONE = DeviceId("phone")
GROUP, OTHER_GROUP = ConvId("gaaaaaaaaaaaa"), ConvId("gbbbbbbbbbbbb")
DIRECT = ConvId("alice~bob")

FULL = acl.Device(ALICE, PHONE)
SENSOR = acl.Device(ALICE, PHONE, frozenset({acl.SEND}))
SCREEN = acl.Device(ALICE, PHONE, frozenset({acl.RECEIVE}))
NOTHING = acl.Device(ALICE, PHONE, frozenset())
WEB = acl.Service("web")
EVERYBODY = {"full": FULL, "sensor": SENSOR, "screen": SCREEN, "nothing": NOTHING, "web": WEB}

# Alice sees Bob's presence and her own, and is in one group; of her direct conversation she is a member too.
RELATIONS = acl.Relations(
    sees_presence=lambda viewer, of: (viewer, of) in {(ALICE, BOB), (ALICE, ALICE)},
    in_room=lambda user, conv: (user, conv) in {(ALICE, GROUP), (ALICE, DIRECT)},
)

# Topic, then who of EVERYBODY may publish to it, then who may subscribe to it (section 2 of the protocol).
TABLE = [
    ("pabal/v1/up/alice/phone", "full sensor screen", ""),
    ("pabal/v1/up/alice/laptop", "", ""),
    ("pabal/v1/up/bob/phone", "", ""),
    ("pabal/v1/down/alice/phone", "", "full sensor screen nothing"),
    ("pabal/v1/down/alice/laptop", "", ""),
    ("pabal/v1/down/bob/phone", "", ""),
    ("pabal/v1/inbox/alice", "", "full screen"),
    ("pabal/v1/inbox/bob", "", ""),
    ("pabal/v1/live/alice", "", "full screen"),
    ("pabal/v1/live/bob", "", ""),
    ("pabal/v1/presence/bob", "", "full screen"),
    ("pabal/v1/presence/alice", "", "full screen"),
    ("pabal/v1/presence/carol", "", ""),
    ("pabal/v1/room/gaaaaaaaaaaaa", "", "full screen"),
    ("pabal/v1/room/gbbbbbbbbbbbb", "", ""),
    ("pabal/v1/room/alice~bob", "", ""),  # rooms are of groups
    ("pabal/v1/status/alice/phone", "full sensor screen nothing", ""),
    ("pabal/v1/status/alice/laptop", "", ""),
    ("pabal/v1/status/bob/phone", "", ""),
    ("pabal/v1/svc/web/up", "web", ""),
    ("pabal/v1/svc/web/down", "", "web"),
    ("pabal/v1/svc/other/up", "", ""),
    ("pabal/v1/svc/other/down", "", ""),
    ("pabal/v1/svc/alice/up", "", ""),
    ("pabal/v1/svc/phone/down", "", ""),
    ("pabal/v1", "", ""),
    ("pabal/v1/", "", ""),
    ("pabal/v1/inbox/alice/", "", ""),
    ("pabal/v1/up/alice/phone/x", "", ""),
    ("pabal/v2/up/alice/phone", "", ""),
    ("$SYS/broker/clients", "", ""),
    ("$share/g/pabal/v1/inbox/alice", "", ""),
    ("sensors/kitchen", "", ""),
    ("", "", ""),
]
CASES = [
    pytest.param(who, topic, name in publishers.split(), name in readers.split(), id=f"{name} {topic}")
    for topic, publishers, readers in TABLE
    for name, who in EVERYBODY.items()
]


@pytest.mark.parametrize(("who", "topic", "publishes", "subscribes"), CASES)
def test_everybody_may_do_what_the_contract_says_and_nothing_else(who, topic, publishes, subscribes):
    assert acl.may_publish(who, topic) is publishes
    assert acl.may_subscribe(who, topic, RELATIONS) is subscribes


@pytest.mark.parametrize("topic_filter", ["$SYS/#", "$SYS/broker/uptime", "$SYS/+/x"])
def test_the_brokers_own_topics_are_for_admins_to_read_and_for_nobody_to_write(topic_filter):
    admin = acl.Device(ALICE, PHONE, admin=True)
    assert acl.may_subscribe(admin, topic_filter)
    assert not acl.may_subscribe(acl.Device(ALICE, PHONE, frozenset({acl.SEND}), admin=True), topic_filter)
    for who in (FULL, WEB):
        assert not acl.may_subscribe(who, topic_filter)
    assert not acl.may_publish(admin, topic_filter)
    assert not acl.may_subscribe(admin, "$SYSTEM/#")
    assert not acl.may_subscribe(admin, "#")


@pytest.mark.parametrize("topic", ["pabal/v1/presence/bob", "pabal/v1/room/gaaaaaaaaaaaa"])
def test_who_is_related_to_nobody_sees_no_presence_and_no_room(topic):
    assert acl.may_subscribe(FULL, topic, RELATIONS)
    assert not acl.may_subscribe(FULL, topic)
    assert acl.may_subscribe(FULL, "pabal/v1/inbox/alice")


def test_a_service_named_like_a_user_gets_nothing_of_the_user():
    service = acl.Service("alice")
    assert acl.may_publish(service, "pabal/v1/svc/alice/up")
    for topic, _, _ in TABLE:
        if not topic.startswith("pabal/v1/svc/"):
            assert not acl.may_publish(service, topic)
            assert not acl.may_subscribe(service, topic, RELATIONS)


def test_only_what_is_asked_for_is_looked_up_and_only_once():
    asked = []
    relations = acl.Relations(
        sees_presence=lambda *pair: bool(asked.append(pair)), in_room=lambda *pair: bool(asked.append(pair))
    )
    acl.may_subscribe(FULL, "pabal/v1/inbox/alice", relations)
    acl.may_subscribe(SENSOR, "pabal/v1/presence/bob", relations)
    assert asked == []
    acl.may_subscribe(FULL, "pabal/v1/presence/bob", relations)
    acl.may_subscribe(FULL, "pabal/v1/room/gaaaaaaaaaaaa", relations)
    assert asked == [(ALICE, BOB), (ALICE, GROUP)]


# Of every topic of ours there is one that is alice's and one that is not, so an allowed filter that reached
# further than it should would be found here.
UNIVERSE = [topic for topic, _, _ in TABLE if topic]
ALL_RELATED = acl.Relations(sees_presence=lambda *_: True, in_room=lambda *_: True)


@st.composite
def filters(draw):
    levels = draw(st.sampled_from(UNIVERSE)).split("/")
    levels = [draw(st.sampled_from([level, level, "+"])) for level in levels]
    if draw(st.booleans()):
        levels = [*levels[: draw(st.integers(0, len(levels)))], "#"]
    return "/".join(levels)


@given(
    filters(), st.sampled_from(sorted(EVERYBODY)), st.sampled_from([RELATIONS, ALL_RELATED, acl.STRANGERS])
)
def test_whatever_filter_is_allowed_everything_that_it_matches_is_too(topic_filter, name, relations):
    who = EVERYBODY[name]
    allowed = acl.may_subscribe(who, topic_filter, relations)
    reached = [topic for topic in UNIVERSE if topics.overlap(topic_filter, topic)]
    if allowed:
        assert all(acl.may_subscribe(who, topic, relations) for topic in reached)
    if topics.has_wildcard(topic_filter):
        assert not allowed


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+",
        "pabal/#",
        "pabal/v1/#",
        "pabal/v1/up/alice/#",
        "pabal/v1/inbox/+",
        "pabal/v1/inbox/alice/#",
        "pabal/v1/+/alice",
        "pabal/v1/presence/+",
        "pabal/v1/room/#",
        "pabal/v1/svc/web/+",
        "pabal/v1/svc/web/down/#",
        "pabal/v1/down/alice/+",
        "+/v1/inbox/alice",
    ],
)
@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_no_wildcard_is_allowed_to_anybody_however_related(topic_filter, name):
    assert not acl.may_subscribe(EVERYBODY[name], topic_filter, ALL_RELATED)
    assert not acl.may_publish(EVERYBODY[name], topic_filter)


@given(st.text(max_size=30), st.sampled_from(sorted(EVERYBODY)))
def test_no_topic_makes_a_decision_raise(text, name):
    for topic in (text, topics.ROOT + text):
        assert acl.may_publish(EVERYBODY[name], topic) in {True, False}
        assert acl.may_subscribe(EVERYBODY[name], topic, RELATIONS) in {True, False}


GROUP = "gaaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("request_", "right"),
    [
        (m.Send(to="bob", text="x"), "send"),
        (m.GroupCreate(name="x"), "send"),
        (m.GroupAdd(conv=GROUP, user="bob"), "send"),
        (m.GroupRemove(conv=GROUP, user="bob"), "send"),
        (m.GroupLeave(conv=GROUP), "send"),
        (m.Sync(after=0), "receive"),
        (m.History(conv="a~b"), "receive"),
        (m.Conversations(), "receive"),
        (m.Read(conv="a~b", message_id=1), "receive"),
        (m.Ack(seq=1), "receive"),
        (m.Delete(conv="a~b", target=1), "receive"),
        (m.Presence(users=["bob"]), "receive"),
        (m.Contacts(), "receive"),
        (m.Blocks(), "receive"),
        (m.Users(q="bo"), "receive"),
        (m.UserGet(user="bob"), "receive"),
        (m.Report(user="bob", reason="spam"), "send"),
        (m.PushSet(), "receive"),
        (m.PushRemove(), "receive"),
        (m.PushGet(), "receive"),
        (m.QuietGet(), "receive"),
        (m.QuietRemove(), "receive"),
    ],
)
def test_each_request_needs_the_right_to_send_or_to_receive(request_, right):
    acl.check_right(acl.EVERYTHING, request_)
    acl.check_right(frozenset({right}), request_)
    with pytest.raises(Forbidden, match=f"no right to {right}"):
        acl.check_right(acl.EVERYTHING - {right}, request_)


@pytest.mark.parametrize(
    "request_",
    [
        m.ContactRequest(user="bob"),
        m.ContactAccept(user="bob"),
        m.ContactRemove(user="bob"),
        m.BlockAdd(user="bob"),
        m.BlockRemove(user="bob"),
        m.Reports(),
    ],
)
def test_who_reaches_whom_is_changed_and_reports_are_seen_by_whole_devices_only(request_):
    acl.check_right(acl.EVERYTHING, request_)
    for right in acl.EVERYTHING:
        with pytest.raises(Forbidden, match="no right to"):
            acl.check_right(frozenset({right}), request_)
