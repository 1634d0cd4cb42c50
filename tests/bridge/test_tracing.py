"""Requests that are followed: from the packet to the reply, and who is not."""

import logging

import msgspec
import pytest
from bridge_fakes import FakeBroker, FakeTicket
from bridge_harness import Harness
from kept_spans import Kept

from bridge.build import Bridge
from bridge.ports import Source
from bridge.tracing import LogRecorder, Tracing, current
from pabal.codec import Format
from pabal.ids import DeviceId, UserId
from pabal.trace import Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
DOWN = "pabal/v1/down/alice/d"
SEND = {"id": "1", "to": "bob", "text": "hi"}


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def open_harness(url):
    """`await open_harness(tracing)`: a bridge that follows."""
    made = []

    async def start(tracing):
        bridge, broker = Bridge(url, tracing=tracing), FakeBroker()
        await bridge.start(broker)
        made.append(bridge)
        return Harness(bridge, broker)

    yield start
    for bridge in made:
        await bridge.stop()


def submit(harness, *requests, trace=TRACE):
    harness.bridge.relay.submit(
        Source(UserId("alice"), DeviceId("d")),
        msgspec.json.encode(requests),
        Format.JSON,
        FakeTicket(),
        trace,
    )


async def test_a_request_is_told_from_its_packet_to_its_fan_out_and_the_reply_carries_its_context(
    open_harness, kept
):
    harness = await open_harness(Tracing([kept], per_second=10))
    submit(harness, SEND)
    await harness.broker.until(lambda: kept.named("fan out"))
    (request,), (commit,), (fan_out,) = map(kept.named, ("request", "commit", "fan out"))
    assert {span.trace_id for span in kept.spans} == {TRACE.trace_id}
    assert request.parent_id == TRACE.parent_id
    assert commit.parent_id == fan_out.parent_id == request.span_id
    assert len({span.span_id for span in kept.spans}) == 3
    assert request.began_ns <= commit.began_ns <= commit.ended_ns <= request.ended_ns <= fan_out.ended_ns
    about = {"op": "send", "user": "alice", "device": "d", "conv": "alice~bob", "message_id": 1}
    assert (request.about, request.error) == (about, None)
    assert harness.broker.traces == [(DOWN, str(TRACE))]


async def test_a_refusal_and_a_read_are_told_too(open_harness, kept):
    harness = await open_harness(Tracing([kept], per_second=10))
    submit(
        harness, {"id": "1", "to": "nobody", "text": "hi"}, {"id": "2", "op": "sync", "after": 0}, {"op": "?"}
    )
    await harness.broker.until(lambda: len(kept.named("request")) == 3)
    told = sorted((span.about["op"], span.error) for span in kept.named("request"))
    assert told == [("?", "bad_request"), ("send", "not_found"), ("sync", None)]


async def test_what_a_service_asks_goes_on_where_it_came_from(open_harness, kept):
    harness = await open_harness(Tracing([kept], per_second=10))
    for number, traceparent in enumerate((str(TRACE), "none of it", None)):
        asked = {"ref": "r", "as": {"user": "alice", "device": "d"}, "request": {**SEND, "id": str(number)}}
        asked |= {} if traceparent is None else {"traceparent": traceparent}
        harness.bridge.relay.submit_service("web", msgspec.json.encode(asked), FakeTicket())
    await harness.broker.until(lambda: len(harness.broker.published) == 3)
    (request,) = kept.named("request")
    assert (request.trace_id, request.parent_id) == (TRACE.trace_id, TRACE.parent_id)
    assert harness.broker.traces == []


async def test_a_context_that_is_not_sampled_comes_back_and_is_not_told(open_harness, kept):
    harness = await open_harness(Tracing([kept], per_second=10))
    unsampled = Trace(TRACE.trace_id, TRACE.parent_id, sampled=False)
    submit(harness, SEND, trace=unsampled)
    await harness.broker.until(lambda: harness.broker.traces)
    assert harness.broker.traces == [(DOWN, str(unsampled))]
    assert kept.spans == []


async def test_without_a_context_every_so_manieth_is_given_one(open_harness, kept):
    harness = await open_harness(Tracing([kept], every=3, per_second=10))
    submit(harness, *({**SEND, "id": str(number)} for number in range(7)), trace=None)
    await harness.broker.until(lambda: len(kept.named("fan out")) == 2)
    requests = kept.named("request")
    assert [span.about["message_id"] for span in requests] == [3, 6]
    assert len({span.trace_id for span in requests}) == 2
    assert [span.parent_id for span in requests] == [None, None]
    assert [header.split("-")[1] for _topic, header in harness.broker.traces] == [
        span.trace_id for span in requests
    ]


def test_no_more_are_told_than_may_be(kept):
    now = [0.0]
    tracing = Tracing([kept], per_second=5, clock=lambda: now[0])

    def told():
        followed = [tracing.follow(TRACE) for _ in range(20)]
        assert {one.header for one in followed} == {str(TRACE)}
        for one in followed:
            tracing.done(one, "request")
            tracing.step(one, "commit", 0, 1)
        return sum(one.trace.sampled for one in followed)

    assert told() == 10
    assert len(kept.spans) == 20
    now[0] = 1.0
    assert told() == 5


def test_who_follows_nobody_is_asked_nothing():
    tracing = Tracing()
    assert tracing.follow(None) is None
    followed = tracing.follow(TRACE)
    assert (followed.header, followed.trace.sampled) == (str(TRACE), False)


def test_the_log_has_a_line_for_each_step_which_is_of_that_trace(caplog):
    caplog.set_level(logging.INFO)
    seen = []

    class Look(logging.Handler):
        def emit(self, record):
            seen.append((record.getMessage(), record.op, record.error, record.took_ms, current.get()))

    tracing = Tracing([LogRecorder()], per_second=10, now_ns=iter((0, 2_500_000)).__next__)
    handler = Look()
    logging.getLogger("pabal.trace").addHandler(handler)
    try:
        followed = tracing.follow(TRACE)
        followed.about["op"] = "send"
        tracing.done(followed, "request", "conflict")
    finally:
        logging.getLogger("pabal.trace").removeHandler(handler)
    assert seen == [("request", "send", "conflict", 2.5, Trace(TRACE.trace_id, followed.trace.parent_id))]
    assert current.get() is None
