"""The queue to another broker: its window, its order, its bounds."""

import asyncio

import pytest
from external_fakes import FakeWire

from broker.external.sending import Sending


@pytest.fixture
def wire():
    return FakeWire()


def attached(wire: FakeWire, *, window: int = 2, most: int = 4, most_bytes: int = 1000) -> Sending:
    sending = Sending(window=window, most=most, most_bytes=most_bytes)
    sending.attach(wire, 65_535)
    return sending


def test_no_more_than_the_window_is_unacknowledged_and_the_order_is_kept(wire):
    sending = attached(wire)
    done = []
    for number in range(5):
        assert sending.publish("t", b"%d" % number, 1, done=lambda n=number: done.append(n))
    assert wire.payloads == [b"0", b"1"]
    sending.acknowledged(2)
    assert (wire.payloads, done) == ([b"0", b"1", b"2"], [1])
    for packet_id in (1, 3, 4, 5):
        sending.acknowledged(packet_id)
    assert wire.payloads == [b"0", b"1", b"2", b"3", b"4"]
    assert sending.idle


def test_a_broker_may_ask_for_a_narrower_window(wire):
    sending = Sending(window=10)
    sending.attach(wire, 1)
    assert sending.publish("t", b"0", 1)
    assert sending.publish("t", b"1", 1)
    assert wire.payloads == [b"0"]


def test_an_acknowledgement_goes_behind_the_replies_that_were_given_before_it(wire):
    sending = attached(wire, window=1)
    sending.publish("down", b"first", 1)
    sending.publish("down", b"second", 1)
    sending.acknowledge(77)
    assert ("ack", 77) not in wire.said
    sending.acknowledged(1)
    assert wire.said[-2:] == [("down", b"second", 1, False), ("ack", 77)]
    sending.acknowledge(78)
    assert wire.said[-1] == ("ack", 78), "nothing is before it any more"


def test_what_goes_at_qos_0_keeps_its_place_among_the_others(wire):
    sending = attached(wire, window=1)
    sending.publish("a", b"0", 1)
    sending.publish("b", b"1", 1)
    sending.publish("c", b"2", 0, retain=True)
    assert wire.payloads == [b"0"]
    sending.acknowledged(1)
    assert wire.said[-1] == ("c", b"2", 0, True)


def test_at_the_bound_of_number_nothing_more_is_queued_but_what_must_be(wire):
    sending = attached(wire, window=1, most=2)
    assert sending.publish("t", b"sent", 1)
    assert sending.publish("t", b"1", 1)
    assert not sending.is_full
    assert sending.publish("t", b"2", 1)
    assert sending.is_full
    assert not sending.publish("t", b"refused", 1)
    assert sending.publish("t", b"must", 1, must=True)
    for packet_id in (1, 2, 3, 4):
        sending.acknowledged(packet_id)
    assert wire.payloads == [b"sent", b"1", b"2", b"must"]


def test_at_the_bound_of_bytes_likewise(wire):
    sending = attached(wire, window=1, most_bytes=10)
    assert sending.publish("t", b"x" * 100, 1)
    assert sending.publish("t", b"x" * 10, 1)
    assert not sending.publish("t", b"x", 1)
    sending.acknowledged(1)
    assert sending.publish("t", b"x", 1)


def test_without_a_link_nothing_is_taken_and_with_the_next_one_nothing_is_left_of_before(wire):
    sending = attached(wire, window=1)
    done = []
    sending.publish("t", b"0", 1, done=lambda: done.append(0))
    sending.publish("t", b"1", 1, done=lambda: done.append(1))
    sending.detach()
    assert not sending.publish("t", b"2", 1)
    sending.acknowledge(5)
    sending.acknowledged(1)
    other = FakeWire()
    sending.attach(other, 65_535)
    assert sending.publish("t", b"3", 1)
    assert (other.said, done) == ([("t", b"3", 1, False)], [])


async def test_who_waits_for_room_goes_on_when_half_of_it_has_gone(wire):
    sending = attached(wire, window=1, most=2)
    for number in range(3):
        sending.publish("t", b"%d" % number, 1)
    waiting = asyncio.create_task(sending.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    sending.acknowledged(1)
    await asyncio.wait_for(waiting, 60)


async def test_who_waits_for_room_waits_for_a_link_too(wire):
    sending = Sending()
    waiting = asyncio.create_task(sending.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    sending.attach(wire, 10)
    await asyncio.wait_for(waiting, 60)
