"""The pushes of a followed request are followed too, by a worker that knows nothing but the database."""

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from kept_spans import Kept
from message_talk import Clock
from push_world import AnyTargets, PushTalk

from bridge.build import Bridge
from bridge.push.ports import Sent, TryLater
from bridge.store.followed import KEPT_MS
from bridge.store.push_store import PushStore
from bridge.tracing import Tracing, current
from pabal.trace import Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def push(url, engine, kept):
    """A bridge that follows, and the push service of its users."""
    clock = Clock()
    tracing = Tracing([kept], per_second=100)
    bridge, broker = Bridge(url, faults=clock, push_targets=AnyTargets(), tracing=tracing), FakeBroker()
    await bridge.start(broker)
    store = PushStore.open(url)
    yield PushTalk(Harness(bridge, broker), clock, store, engine)
    await bridge.stop()
    store.close()


async def said(push, text, trace):
    """What Alice writes to Bob, with a trace context or without."""
    submit = push.harness.bridge.relay.submit
    push.harness.bridge.relay.submit = lambda *arguments: submit(*arguments, trace)
    try:
        return await push.said(text)
    finally:
        push.harness.bridge.relay.submit = submit


async def test_a_push_is_told_as_a_step_of_the_request_that_it_comes_from(push, kept):
    await push.subscribe()
    seen = []
    push.service.answer = lambda _to, _what: seen.append(current.get()) or Sent("201")
    unsampled = Trace(TRACE.trace_id, TRACE.parent_id, sampled=False)
    for text, trace in (("followed", TRACE), ("not followed", None), ("not sampled", unsampled)):
        await said(push, text, trace)
        (told,) = await push.pushed(tracing=Tracing([kept]))
        assert told.body == text
    (request,), (pushed,) = kept.named("request"), kept.named("push")
    assert (pushed.trace_id, pushed.parent_id, pushed.error) == (TRACE.trace_id, request.span_id, None)
    assert pushed.about == {
        "service": "fake", "user": "bob", "device": "d", "conv": "alice~bob", "message_id": 1,
    }  # fmt: skip
    assert [trace and trace.trace_id for trace in seen] == [TRACE.trace_id, None, None]


async def test_each_try_is_told_with_what_came_of_it(push, kept):
    await push.subscribe()
    answers = [TryLater("busy", after_s=1), Sent("201")]
    push.service.answer = lambda _to, _what: answers.pop(0)
    await said(push, "followed", TRACE)
    await push.pushed(tracing=Tracing([kept]))
    push.clock.now += 60_000
    await push.pushed(tracing=Tracing([kept]))
    assert [span.error for span in kept.named("push")] == ["busy", None]


async def test_sent_again_a_request_keeps_its_first_trace_and_what_is_old_goes(push, engine):
    def rows():
        with engine.connect() as connection:
            return sorted(
                (message_id, trace.split("-")[1])
                for message_id, trace in connection.exec_driver_sql("SELECT message_id, trace FROM followed")
            )

    other = Trace("a" * 32, "b" * 16)
    await said(push, "one", TRACE)
    submitted = {"id": "again", "to": "bob", "text": "two"}
    for trace in (TRACE, other):
        submit = push.harness.bridge.relay.submit
        push.harness.bridge.relay.submit = lambda *arguments, by=trace, on=submit: on(*arguments, by)
        await push.harness.ask("alice", submitted)
        push.harness.bridge.relay.submit = submit
    assert rows() == [(1, TRACE.trace_id), (2, TRACE.trace_id)]
    push.clock.now += KEPT_MS + 1
    await said(push, "three", other)
    assert rows() == [(3, other.trace_id)]
