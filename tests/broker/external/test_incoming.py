"""Acknowledgements to another broker, in the order in which its messages came, or never."""

import pytest

from broker.external.incoming import Incoming


@pytest.fixture
def acknowledged():
    return []


@pytest.fixture
def unkept():
    return []


@pytest.fixture
def incoming(acknowledged, unkept):
    return Incoming(acknowledged.append, lambda: unkept.append(True))


def test_they_are_acknowledged_in_the_order_in_which_they_came(incoming, acknowledged):
    first, second, third = incoming.take(1), incoming.take(2), incoming.take(3)
    third.settle(True)
    second.settle(True)
    assert (acknowledged, incoming.open) == ([], 3)
    first.settle(True)
    assert (acknowledged, incoming.open) == ([1, 2, 3], 0)


def test_what_was_not_kept_is_never_acknowledged_and_holds_up_nothing_behind_it(
    incoming, acknowledged, unkept
):
    first, second = incoming.take(1), incoming.take(2)
    first.settle(False)
    second.settle(True)
    assert (acknowledged, unkept, incoming.unkept) == ([2], [True], 1)


def test_a_ticket_counts_once(incoming, acknowledged, unkept):
    arrival = incoming.take(1)
    arrival.settle(True)
    arrival.settle(False)
    assert (acknowledged, unkept) == ([1], [])


def test_at_qos_0_nobody_waits(incoming, acknowledged, unkept):
    waits, arrival = incoming.take(1), incoming.take(0)
    arrival.settle(False)
    waits.settle(True)
    assert (acknowledged, unkept) == ([1], [])


def test_when_the_link_is_gone_nothing_is_acknowledged_over_the_next_one(incoming, acknowledged, unkept):
    kept, lost = incoming.take(1), incoming.take(2)
    incoming.over()
    kept.settle(True)
    lost.settle(False)
    assert (acknowledged, unkept, incoming.open) == ([], [], 0)


def test_what_cannot_be_read_is_counted(incoming):
    arrival = incoming.take(1)
    arrival.offend()
    arrival.offend()
    assert incoming.offences == 2
