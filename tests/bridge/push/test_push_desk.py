"""The queue of pushes as somebody who runs a server sees it."""

import pytest

from bridge.push.jobs import JobKey
from bridge.push.ports import Refused, Sent
from bridge.store.engine import open_engine
from bridge.store.push_desk import PushDesk


@pytest.fixture
def desk(url):
    engine = open_engine(url)
    yield PushDesk(engine)
    engine.dispose()


async def _refused(push):
    """A push that was given up. Returns its key."""
    await push.subscribe()
    push.service.answer = lambda _s, _n: Refused("no such thing")
    await push.said("hello")
    await push.pushed()
    return JobKey("bob", "d", 1, "message")


async def test_what_waits_is_listed_with_what_it_is_about(push, desk):
    await push.subscribe()
    await push.said("hello")
    await push.said("again")
    first, second = desk.open_jobs(10)
    assert [first.key, second.key] == [JobKey("bob", "d", 1, "message"), JobKey("bob", "d", 2, "message")]
    assert (first.conv, first.message_id, first.state, first.tries) == ("alice~bob", 1, "queued", 0)
    assert desk.open_jobs(1) == [first]
    assert desk.dead(10) == []


async def test_what_was_given_up_is_listed_with_its_reason(push, desk):
    key = await _refused(push)
    (dead,) = desk.dead(10)
    assert (dead.key, dead.state, dead.tries, dead.service) == (key, "dead", 1, "fake")
    assert dead.answer is not None
    assert "no such thing" in dead.answer
    assert desk.open_jobs(10) == []


async def test_a_second_try_is_made_and_only_one(push, desk):
    key = await _refused(push)
    push.service.answer = lambda _s, _n: Sent("201")
    assert desk.retry(key, push.clock.now) is True
    assert desk.retry(key, push.clock.now) is False
    assert desk.dead(10) == []
    assert len(await push.pushed()) == 1
    assert [job[2] for job in push.jobs()] == ["sent"]


async def test_what_was_sent_is_not_sent_again(push, desk):
    await push.subscribe()
    await push.said("hello")
    assert len(await push.pushed()) == 1
    assert desk.retry(JobKey("bob", "d", 1, "message"), push.clock.now) is False
    assert await push.pushed() == []


async def test_one_that_waits_or_was_given_up_can_be_taken_away(push, desk):
    key = await _refused(push)
    assert desk.forget(key) is True
    assert desk.forget(key) is False
    await push.said("again")
    assert desk.forget(JobKey("bob", "d", 2, "message")) is True
    assert await push.pushed() == []
    assert push.jobs() == []
