"""Who hears how far somebody has come: one table of who shares what with whom."""

import msgspec
import pytest

from bridge.receipt_rules import Circle, Mark, shown, told
from pabal.ids import ConvId, UserId
from pabal.receipts import DELIVERED, DELIVERED_TO_ALL, READ

DIRECT, GROUP = ConvId("alice~bob"), ConvId("gaaaaaaaaaaaa")
ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")
FULL = {"type": "receipt", "ts": 7, "conv": DIRECT, "user": "bob", "delivered": 5, "read": 3}
PART = {key: value for key, value in FULL.items() if key != "read"}


def heard(what: int, conv: ConvId = DIRECT, **known) -> dict[str, dict]:
    circle = Circle([Mark(conv, BOB, 5, 3)], **known)
    [(_mark, payloads)] = told(circle, {(conv, BOB): what}, 7)
    return {user: msgspec.json.decode(payload) for user, payload in payloads}


@pytest.mark.parametrize("what", [READ, DELIVERED, READ | DELIVERED])
def test_the_other_side_hears_both_values_whichever_moved(what):
    assert heard(what) == {"alice": FULL}


@pytest.mark.parametrize("silent", ["alice", "bob"])
def test_who_keeps_reading_private_neither_shows_nor_sees_it(silent):
    assert heard(DELIVERED, silent={UserId(silent)}) == {"alice": PART}
    assert heard(READ | DELIVERED, silent={UserId(silent)}) == {"alice": PART}
    assert heard(READ, silent={UserId(silent)}) == {}


@pytest.mark.parametrize("pair", [("alice", "bob"), ("bob", "alice")])
def test_two_who_are_apart_hear_nothing_of_each_other(pair):
    assert heard(READ | DELIVERED, apart={pair}) == {}


def test_a_group_hears_it_except_the_one_whom_it_is_about():
    assert set(heard(READ, GROUP, rosters={GROUP: [ALICE, BOB, CAROL]})) == {"alice", "carol"}


def test_with_oneself_there_is_nobody_to_tell():
    own = ConvId("bob~bob")
    [(_mark, payloads)] = told(Circle([Mark(own, BOB, 5, 3)]), {(own, BOB): READ}, 7)
    assert payloads == []


@pytest.mark.parametrize("more", [0, 1])
def test_in_a_group_of_many_only_the_authors_hear_what_was_delivered(more):
    members = [BOB, *(UserId(f"u{n}") for n in range(DELIVERED_TO_ALL - 1 + more))]
    known = {"rosters": {GROUP: members}, "authors": {GROUP: {UserId("u3")}}}
    everybody = {user for user in members if user != BOB}
    assert set(heard(DELIVERED, GROUP, **known)) == ({"u3"} if more else everybody)
    assert set(heard(READ, GROUP, **known)) == everybody


def test_history_shows_each_what_both_share():
    marks = [("alice", 4, 4), ("bob", 5, 3), ("carol", 2, 0)]

    def seen(viewer: UserId, silent=frozenset(), apart=frozenset()) -> list[dict]:
        return msgspec.to_builtins(shown(marks, viewer, silent, apart))

    alice, bob, carol = (
        {"user": "alice", "delivered": 4, "read": 4},
        {"user": "bob", "delivered": 5, "read": 3},
        {"user": "carol", "delivered": 2, "read": 0},
    )
    assert seen(ALICE) == [alice, bob, carol]
    assert seen(ALICE, {BOB}) == [alice, {"user": "bob", "delivered": 5}, carol]
    assert seen(BOB, {BOB}) == [
        {"user": "alice", "delivered": 4},
        bob,
        {"user": "carol", "delivered": 2},
    ]
    assert seen(ALICE, apart={(BOB, ALICE)}) == [alice, carol]
