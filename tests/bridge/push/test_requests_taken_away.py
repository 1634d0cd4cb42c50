"""A request to be a contact that was shown is taken away again where it was, once it need not be answered any more."""

import asyncio

import pytest
from sqlalchemy import text

from bridge.commands import EraseContacts
from bridge.push.jobs import Job, JobKey, Known, Place, Taken
from bridge.push.policy import decide
from bridge.push.ports import Sent, Subscription, TryLater
from pabal.ids import ConvId, DeviceId, UserId

DIRECT = "alice~bob"
ASK = {"op": "contact.request", "user": "bob"}
ENDS = [
    ("bob", {"op": "contact.accept", "user": "alice"}),
    ("bob", {"op": "contact.remove", "user": "alice"}),
    ("bob", {"op": "contact.request", "user": "alice"}),
    ("bob", {"op": "block.add", "user": "alice"}),
    ("alice", {"op": "contact.remove", "user": "bob"}),
    ("alice", {"op": "block.add", "user": "bob"}),
]


@pytest.fixture
async def shown(push):
    """alice has asked bob; his `d` shows it, his `desk` has no push. Returns what `d` was told."""
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.ok("alice", ASK)
    (told,) = await push.pushed()
    assert told.kind == "contact"
    return told


async def end(push, by, how):
    await push.ok(by, how, device="desk" if by == "bob" else "d")


def places(push) -> list[tuple[str, str, int]]:
    """Device, conversation and seq of what may be seen."""
    asked = text("SELECT device_id, conv_id, seq FROM push_asked WHERE user_id = 'bob' ORDER BY device_id")
    with push.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(asked)]


@pytest.mark.parametrize(("by", "how"), ENDS)
async def test_however_a_request_ends_it_goes_silently_from_where_it_was_shown(push, shown, by, how):
    assert places(push) == [("d", DIRECT, 1)]
    await push.subscribe(device="desk")
    await end(push, by, how)
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.title, cleared.body, cleared.urgent) == ("clear", None, None, False)
    assert (cleared.conv, cleared.message_id, cleared.collapse) == (DIRECT, None, shown.collapse)
    assert push.service.sent[-1][0].device == "d"
    assert push.jobs() == [("clear", None, "sent", "201"), ("message", None, "sent", "201")]
    assert places(push) == []


@pytest.mark.parametrize(("by", "how"), ENDS)
async def test_a_request_that_ends_while_it_is_on_its_way_is_taken_away_afterwards(push, by, how):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.ok("alice", ASK)
    push.service.hold = asyncio.Event()
    worker = push.worker()
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 1)
    await end(push, by, how)
    push.service.hold.set()
    await worker.stop()
    await push.pushed()
    assert [one.kind for _to, one in push.service.sent] == ["contact", "clear"]
    assert places(push) == []


async def test_a_request_that_ended_just_before_it_was_sent_is_taken_away_afterwards(push):
    """Its answer was committed after the worker's look, and before the worker wrote down what it shows."""
    await push.subscribe()
    await push.ok("alice", ASK)

    def answer(_subscription, notification):
        if notification.kind == "contact":
            push.execute("UPDATE contact SET state = 'accepted' WHERE user_id = 'bob'")
        return Sent("201")

    push.service.answer = answer
    assert [one.kind for one in await push.pushed()] == ["contact", "clear"]


@pytest.mark.usefixtures("shown")
async def test_the_device_by_which_a_request_was_answered_needs_no_push(push):
    await push.ok("bob", {"op": "contact.accept", "user": "alice"})
    assert await push.pushed() == []


@pytest.mark.usefixtures("shown")
async def test_a_device_of_the_same_name_that_ends_it_on_the_other_side_keeps_no_push_back(push):
    await push.ok("alice", {"op": "contact.remove", "user": "bob"}, device="d")
    assert [one.kind for one in await push.pushed()] == ["clear"]


@pytest.mark.usefixtures("shown")
async def test_a_clear_is_tried_again_and_until_then_the_request_counts_as_shown(push):
    await end(push, *ENDS[0])
    push.service.answer = lambda _s, _n: TryLater("busy", 5)
    assert [one.kind for one in await push.pushed()] == ["clear"]
    assert places(push) == [("d", DIRECT, 1)]
    push.service.answer = lambda _s, _n: Sent("201")
    push.clock.now += 5_000
    assert [one.kind for one in await push.pushed()] == ["clear"]
    assert places(push) == []


async def test_who_asks_anew_at_once_is_shown_anew_and_nothing_is_taken_away(push, shown):
    await push.ok("alice", {"op": "contact.remove", "user": "bob"})
    await push.ok("alice", ASK | {"text": "please"})
    (told,) = await push.pushed()
    assert (told.kind, told.collapse) == ("contact", shown.collapse)
    assert ("clear", None, "dropped", "collapsed") in push.jobs()
    assert places(push) == [("d", DIRECT, told.seq)]
    await push.ok("alice", {"op": "contact.remove", "user": "bob"})
    (cleared,) = await push.pushed()
    assert (cleared.kind, cleared.seq) == ("clear", told.seq)


async def test_messages_and_requests_are_taken_away_apart(push, shown):
    message_id = await push.said("hi")
    (told,) = await push.pushed()
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": message_id}, device="desk")
    (read,) = await push.pushed()
    assert (read.kind, read.message_id, read.collapse) == ("clear", message_id, told.collapse)
    assert places(push) == [("d", DIRECT, 1)]
    await push.said("ho")
    await push.pushed()
    await end(push, *ENDS[0])
    (answered,) = await push.pushed()
    assert (answered.kind, answered.message_id, answered.collapse) == ("clear", None, shown.collapse)
    await push.ok("bob", {"op": "read", "conv": DIRECT, "message_id": message_id + 1}, device="desk")
    (read,) = await push.pushed()
    assert (read.kind, read.message_id) == ("clear", message_id + 1)


@pytest.mark.usefixtures("shown")
async def test_the_end_of_a_contact_takes_nothing_away(push):
    await end(push, *ENDS[0])
    await push.pushed()
    await push.ok("alice", {"op": "contact.remove", "user": "bob"})
    assert await push.pushed() == []
    assert push.jobs() == [("clear", None, "sent", "201"), ("message", None, "sent", "201")]


@pytest.mark.usefixtures("shown")
async def test_what_a_deleted_account_asked_for_is_taken_away(push):
    await push.harness.bridge.relay.commit(EraseContacts(UserId("alice"), [UserId("bob"), UserId("carol")]))
    assert [(one.kind, one.seq) for one in await push.pushed()] == [("clear", 1)]
    assert places(push) == []


@pytest.mark.usefixtures("shown")
async def test_who_takes_no_pushes_any_more_is_sent_no_clear(push):
    await push.ok("bob", {"op": "push.remove"})
    assert places(push) == []
    await end(push, *ENDS[0])
    assert await push.pushed() == []
    assert push.jobs() == [("message", None, "sent", "201")]


@pytest.mark.parametrize(("seen", "is_sent"), [(None, False), (4, True), (5, True), (6, False)])
def test_a_clear_takes_no_later_request_with_it(seen, is_sent):
    key = JobKey(UserId("bob"), DeviceId("d"), 5, "clear")
    conv = ConvId(DIRECT)
    job = Job(key, "contact", conv, None, created_ts=0, due_ts=0, expires_ts=100)
    subscription = Subscription(key.user, key.device, "fake", {})
    taken = Taken(subscription, "full", "en", None, subscribed_ts=0, failures=0, jobs=[job])
    # What is shown of messages has nothing to do with it.
    place = Place(is_member=True, read_upto=0, shown=5, asked=seen)
    drops, start = decide(taken, Known(active=True, acked=9, places={conv: place}), 1, lambda _tz, _now: 0)
    assert (start is not None) is is_sent
    assert [drop.reason for drop in drops] == ([] if is_sent else ["nothing shown"])
