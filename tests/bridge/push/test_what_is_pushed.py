"""From a message to what a push service is given: who is told, when, what, and who is not."""

import asyncio

import pytest

from bridge.push.ports import Sent

DIRECT = "alice~bob"
WAIT_MS = 10_000
SEOUL_NIGHT = {"from": "22:00", "to": "07:00", "tz": "Asia/Seoul"}
# The clock of the tests stands at 09:16 in the morning of 1970-01-01 in Seoul.
SEOUL_NOW = {"from": "09:00", "to": "10:00", "tz": "Asia/Seoul"}


async def test_who_is_away_is_told_at_once_with_who_said_what(push):
    await push.subscribe()
    message_id = await push.said("안녕")
    (told,) = await push.pushed()
    assert (told.kind, told.title, told.body, told.badge) == ("message", "alice", "안녕", 1)
    assert (told.conv, told.message_id, told.urgent, told.ttl_s) == (DIRECT, message_id, True, 86_400)
    assert push.jobs() == [("message", message_id, "sent", "201")]


async def test_nobody_is_told_who_did_not_subscribe_and_nobody_of_the_own_words(push):
    await push.subscribe("alice")
    await push.said("hi")
    assert await push.pushed() == []
    assert push.jobs("bob") == push.jobs("alice") == []


async def test_whoever_has_given_the_subscription_back_is_told_nothing(push):
    await push.subscribe()
    await push.said("one")
    await push.ok("bob", {"op": "push.remove"})
    await push.said("two")
    assert await push.pushed() == []
    assert push.jobs() == [("message", 1, "dropped", "unsubscribed")]


async def test_a_device_that_is_here_has_ten_seconds_to_acknowledge(push):
    await push.subscribe()
    push.connect("bob")
    await push.said("hi")
    push.clock.now += WAIT_MS - 1
    assert await push.pushed() == []
    assert [state for *_, state, _answer in push.jobs()] == ["queued"]
    push.clock.now += 1
    (told,) = await push.pushed()
    assert told.body == "hi"


async def test_what_any_of_the_devices_has_acknowledged_is_not_pushed(push):
    await push.subscribe()
    push.add_device("bob", "desk")
    push.connect("bob", "desk")
    await push.said("hi")
    await push.ok("bob", {"op": "ack", "seq": 1}, device="desk")
    push.clock.now += WAIT_MS
    assert await push.pushed() == []
    assert push.jobs() == [("message", 1, "dropped", "acknowledged")]


async def test_what_an_mqtt_session_has_acknowledged_counts_too(push):
    await push.subscribe()
    push.connect("bob")
    await push.said("hi")
    relay = push.harness.bridge.relay
    relay.moved("bob:d", "bob", "d", 1)
    await push.said("and")  # with which the position is written
    push.clock.now += WAIT_MS
    (told,) = await push.pushed()
    assert told.body == "and"
    assert push.jobs()[0] == ("message", 1, "dropped", "acknowledged")


async def test_what_a_session_that_is_not_kept_has_acknowledged_counts_too(push):
    """Also when the device has missed something before, so that its cursor may not move."""
    await push.subscribe()
    await push.said("missed")
    await push.pushed()
    push.connect("bob")
    await push.said("hi")
    push.harness.bridge.relay.arrived("bob", 2)
    await push.delivered("bob", 2)
    push.clock.now += WAIT_MS
    assert await push.pushed() == []
    assert push.jobs()[1] == ("message", 2, "dropped", "acknowledged")


async def test_of_a_large_group_only_who_is_named_is_told(push):
    await push.subscribe("bob")
    await push.subscribe("carol")
    conv = await push.group("bob", "carol")
    await push.said("all of you", conv)
    named = await push.said("you", conv, mentions=["bob"])
    (told,) = await push.pushed()
    assert (told.message_id, told.title, told.urgent) == (named, "Riders", True)
    assert told.body == "alice님이 회원님을 언급했습니다: you"
    assert push.jobs("carol") == []


async def test_several_of_one_conversation_become_one(push):
    await push.subscribe()
    for word in ("one", "two", "three"):
        await push.said(word)
    (told,) = await push.pushed()
    assert (told.body, told.badge) == ("three", 3)
    assert [answer for *_, answer in push.jobs()] == ["collapsed", "collapsed", "201"]


async def test_several_conversations_have_places_of_their_own(push):
    await push.subscribe()
    await push.said("hi")
    await push.said("ho", "bob~carol", by="carol")
    one, other = await push.pushed()
    assert (one.title, other.title) == ("alice", "carol")
    assert one.collapse != other.collapse
    assert len(one.collapse) <= 32
    await push.said("again")
    (later,) = await push.pushed()
    assert later.collapse == one.collapse
    assert later.push_id != one.push_id


# -- what is shown


@pytest.mark.parametrize(
    ("preview", "lang", "title", "body"),
    [
        ("full", "en", "alice", "hi"),
        ("sender", "en", "alice", "sent a message"),
        ("sender", "ko", "alice", "메시지를 보냈습니다"),
        ("none", "en", None, None),
    ],
)
async def test_each_device_shows_as_much_as_it_asked_for(push, preview, lang, title, body):
    await push.subscribe(preview=preview, lang=lang)
    await push.said("hi")
    (told,) = await push.pushed()
    assert (told.title, told.body, told.message_id) == (title, body, 1)


@pytest.mark.parametrize(("lang", "body"), [("ko", "사진을 보냈습니다"), ("en", "sent a photo")])
async def test_what_is_no_text_is_said_in_words(push, lang, body):
    await push.subscribe(lang=lang)
    await push.ok("alice", {"to": "bob", "kind": "image", "body": {"url": "x"}})
    (told,) = await push.pushed()
    assert told.body == body


async def test_a_kind_that_nobody_knows_is_a_message(push):
    await push.subscribe(lang="en")
    await push.ok("alice", {"to": "bob", "kind": "reading", "body": {"t": 21}})
    (told,) = await push.pushed()
    assert told.body == "sent a message"


async def test_in_a_group_the_group_is_named_and_who_spoke(push):
    await push.subscribe(lang="en")
    conv = await push.group("bob")
    await push.said("{name} {text}\nhi", conv)
    (told,) = await push.pushed()
    assert (told.title, told.body, told.urgent) == ("Riders", "alice: {name} {text} hi", False)


async def test_a_name_is_shown_to_those_who_may_know_it(push):
    push.execute("UPDATE account SET display_name = 'Alice Kim' WHERE user_id = 'alice'")
    await push.subscribe()
    await push.said("a stranger")
    (told,) = await push.pushed()
    assert told.title == "alice"
    await push.ok("bob", {"op": "contact.request", "user": "alice"})
    await push.ok("alice", {"op": "contact.accept", "user": "bob"})
    await push.said("a friend")
    (told,) = await push.pushed()
    assert told.title == "Alice Kim"


async def test_the_badge_counts_all_that_is_unread_and_not_muted(push):
    await push.subscribe()
    await push.said("one", "bob~carol", by="carol")
    await push.said("two", "bob~carol", by="carol")
    hidden = await push.said("three", "bob~carol", by="carol")
    await push.ok("bob", {"op": "delete", "conv": "bob~carol", "target": hidden})
    await push.said("hi")
    told = await push.pushed()
    assert [one.badge for one in told] == [3, 3]
    await push.ok("bob", {"op": "mute", "conv": "bob~carol"})
    await push.said("hi again")
    (last,) = await push.pushed()
    assert last.badge == 2


# -- what is taken back, and what was read


async def test_what_was_read_elsewhere_goes_silently_from_where_it_was_shown(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.subscribe(device="desk")
    await push.said("hi")
    assert len(await push.pushed()) == 2
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": 1}, device="desk")
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.title, cleared.body, cleared.badge) == ("clear", None, None, 0)
    assert (cleared.conv, cleared.message_id) == (DIRECT, 1)
    assert push.service.sent[-1][0].device == "d"
    await push.said("ho")
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": 2}, device="desk")
    assert await push.pushed() == []  # it was not shown yet
    assert push.jobs()[-1] == ("message", 2, "dropped", "read")


async def test_a_clearing_takes_no_later_message_with_it(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.said("one")
    await push.pushed()
    await push.said("two")
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": 1}, device="desk")
    (told,) = await push.pushed()
    assert (told.kind, told.body) == ("message", "two")
    assert ("clear", 1, "dropped", "collapsed") in push.jobs()


async def test_whoever_answers_has_read(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.said("hi")
    await push.pushed()
    await push.ok("bob", {"to": "alice", "text": "ho"}, device="desk")
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.message_id) == ("clear", 2)


async def test_what_was_read_while_it_was_on_its_way_is_cleared_afterwards(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.said("hi")
    push.service.answer = _read_meanwhile(push)
    told = await push.pushed()
    assert [one.kind for one in told] == ["message", "clear"]


def _read_meanwhile(push):
    def answer(_subscription, notification):
        if notification.kind == "message":
            push.execute("UPDATE member SET read_upto = 1 WHERE user_id = 'bob'")
        return Sent("201")

    return answer


async def test_what_is_recalled_before_it_is_pushed_is_not_and_afterwards_is_cleared(push):
    await push.subscribe()
    await push.said("oh")
    await push.ok("alice", {"op": "recall", "conv": DIRECT, "target": 1})
    assert await push.pushed() == []
    assert push.jobs() == [("message", 1, "dropped", "taken back")]
    shown = await push.said("no")
    await push.pushed()
    await push.ok("alice", {"op": "recall", "conv": DIRECT, "target": shown})
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.message_id) == ("clear", shown)


async def test_what_is_recalled_in_a_large_group_is_cleared_where_it_is_shown(push):
    await push.subscribe()
    await push.subscribe("carol")
    conv = await push.group("bob", "carol")
    shown = await push.said("@bob look", conv, mentions=["bob"])
    (told,) = await push.pushed()
    await push.ok("alice", {"op": "recall", "conv": conv, "target": shown})
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.conv, cleared.message_id, cleared.title) == ("clear", conv, shown, None)
    assert cleared.collapse == told.collapse
    assert [(kind, state) for kind, _id, state, _answer in push.jobs()] == [
        ("clear", "sent"),
        ("message", "sent"),
    ]
    assert push.jobs("carol") == []


async def test_in_a_large_group_nothing_is_cleared_by_what_is_not_shown_any_more(push):
    await push.subscribe()
    conv = await push.group("bob", "carol")
    older = await push.said("@bob look", conv, mentions=["bob"])
    await push.pushed()
    await push.said("@bob again", conv, mentions=["bob"])
    await push.pushed()
    await push.ok("alice", {"op": "recall", "conv": conv, "target": older})
    assert await push.pushed() == []


async def test_what_is_recalled_in_a_large_group_while_it_is_on_its_way_is_cleared(push):
    await push.subscribe()
    conv = await push.group("bob", "carol")
    said = await push.said("@bob look", conv, mentions=["bob"])
    push.service.hold = asyncio.Event()
    worker = push.worker()
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 1)
    await push.ok("alice", {"op": "recall", "conv": conv, "target": said})
    push.service.hold.set()
    await worker.stop()
    assert [(one.kind, one.message_id) for one in await push.pushed()] == [("clear", said)]


async def test_edits_and_reactions_are_not_pushed(push):
    await push.subscribe()
    await push.subscribe("alice")
    await push.said("hi")
    await push.pushed()
    await push.ok("alice", {"op": "edit", "conv": DIRECT, "target": 1, "text": "ho"})
    await push.ok("bob", {"op": "react", "conv": DIRECT, "target": 1, "emoji": "+"})
    assert await push.pushed() == []


async def test_a_message_whose_time_is_over_is_not_shown_and_its_push_does_not_outlive_it(push):
    await push.subscribe()
    await push.said("soon gone", expires_in=60)
    (told,) = await push.pushed()
    assert told.ttl_s == 60
    await push.said("gone", expires_in=60)
    push.clock.now += 60_000
    assert [one.kind for one in await push.pushed()] in ([], ["clear"])
    assert ("message", 2, "dropped", "taken back") in push.jobs()


async def test_what_is_deleted_for_oneself_is_not_shown(push):
    await push.subscribe()
    await push.said("hi")
    await push.ok("bob", {"op": "delete", "conv": DIRECT, "target": 1})
    assert await push.pushed() == []


# -- who does not want to be told, or may not be


async def test_nothing_is_told_of_what_is_muted_but_to_who_is_named(push):
    await push.subscribe()
    conv = await push.group("bob")
    await push.ok("bob", {"op": "mute", "conv": conv})
    await push.said("psst", conv)
    await push.said("everybody", conv, mentions=["@all"])
    assert await push.pushed() == []
    assert {answer for *_, answer in push.jobs()} == {"muted"}
    await push.said("you", conv, mentions=["bob"])
    (told,) = await push.pushed()
    assert told.urgent


async def test_a_mute_that_is_over_holds_no_longer(push):
    await push.subscribe()
    await push.said("hi")
    await push.pushed()
    await push.ok("bob", {"op": "mute", "conv": DIRECT, "until": push.clock.now + 1000})
    await push.said("muted")
    assert await push.pushed() == []
    push.clock.now += 1000
    await push.said("not any longer")
    assert len(await push.pushed()) == 1


@pytest.mark.parametrize("where", ["user", "conversation", "device"])
async def test_in_quiet_hours_nothing_is_pushed_and_nothing_comes_later(push, where):
    await push.subscribe(**({"quiet": SEOUL_NOW} if where == "device" else {}))
    await push.said("before", "bob~carol", by="carol")
    await push.pushed()
    if where != "device":
        asked = {"conv": "bob~carol"} if where == "conversation" else {}
        await push.ok("bob", {"op": "quiet.set", "hours": SEOUL_NOW, **asked})
    await push.said("hush", "bob~carol", by="carol")
    assert await push.pushed() == []
    assert push.jobs()[-1][2:] == ("dropped", "quiet")
    push.clock.now += 3_600_000
    assert await push.pushed() == []
    await push.said("good morning", "bob~carol", by="carol")
    assert len(await push.pushed()) == 1


async def test_a_conversations_quiet_is_its_own(push):
    await push.subscribe()
    await push.said("hi")
    await push.pushed()
    await push.ok("bob", {"op": "quiet.set", "hours": SEOUL_NOW, "conv": DIRECT})
    await push.said("hush")
    await push.said("ho", "bob~carol", by="carol")
    (told,) = await push.pushed()
    assert told.title == "carol"


async def test_quiet_hours_are_those_of_their_time_zone_and_can_be_taken_back(push):
    await push.subscribe()
    await push.ok("bob", {"op": "quiet.set", "hours": SEOUL_NIGHT})
    await push.said("by day")
    assert len(await push.pushed()) == 1
    await push.ok("bob", {"op": "quiet.set", "hours": {**SEOUL_NIGHT, "tz": "America/New_York"}})
    await push.said("by night")  # 19:16 there
    assert len(await push.pushed()) == 1
    await push.ok(
        "bob",
        {"op": "quiet.set", "hours": {**SEOUL_NOW, "from": "19:00", "to": "20:00", "tz": "America/New_York"}},
    )
    await push.said("hush")
    assert await push.pushed() == []
    await push.ok("bob", {"op": "quiet.remove"})
    await push.said("and now")
    assert len(await push.pushed()) == 1


async def test_a_mention_breaks_through_quiet_hours_only_where_the_user_says_so(push):
    await push.subscribe()
    conv = await push.group("bob")
    await push.ok("bob", {"op": "quiet.set", "hours": SEOUL_NOW})
    await push.said("bob?", conv, mentions=["bob"])
    assert await push.pushed() == []
    await push.ok("bob", {"op": "quiet.set", "hours": {**SEOUL_NOW, "mentions": True}})
    await push.said("not named", conv)
    assert await push.pushed() == []
    await push.said("bob!", conv, mentions=["bob"])
    assert len(await push.pushed()) == 1


async def test_between_those_who_are_kept_apart_nothing_is_told(push):
    await push.subscribe()
    conv = await push.group("bob")
    await push.ok("bob", {"op": "block.add", "user": "alice"})
    await push.said("hi", conv)
    assert await push.pushed() == []
    assert push.jobs()[-1][2:] == ("dropped", "blocked")


async def test_whoever_left_is_not_told_of_what_was_on_its_way(push):
    await push.subscribe()
    conv = await push.group("bob")
    await push.said("hi", conv)
    await push.ok("bob", {"op": "group.leave", "conv": conv})
    assert await push.pushed() == []
    assert ("message", 2, "dropped", "left") in push.jobs()


@pytest.mark.parametrize(
    "how",
    [
        "UPDATE account SET state = 'disabled' WHERE user_id = 'bob'",
        "DELETE FROM device WHERE user_id = 'bob'",
    ],
)
async def test_who_is_shut_out_or_whose_device_is_gone_is_not_told(push, how):
    await push.subscribe()
    await push.said("hi")
    push.execute(how)
    assert await push.pushed() == []
    assert push.jobs() == [("message", 1, "dropped", "no such account or device")]


async def test_what_is_older_than_a_push_is_of_use_is_dropped(push):
    await push.subscribe()
    await push.said("hi")
    push.clock.now += 86_400_000
    assert await push.pushed() == []
    assert push.jobs() == [("message", 1, "dropped", "too late")]
