"""Who is told how far somebody has come, and who finds it in the history. Pure.

Whoever keeps one's own `read` to oneself does not see that of others either; `delivered` stays. Of two who are kept
apart by a block neither hears of the other.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UNSET

from pabal import codec, ids
from pabal import messages as m
from pabal.ids import ConvId, UserId
from pabal.receipts import DELIVERED, DELIVERED_TO_ALL, READ

# One that blocked the other, either way around.
Apart = Collection[tuple[UserId, UserId]]


class Mark(NamedTuple):
    """How far a member has come. `read` implies `delivered`."""

    conv: ConvId
    user: UserId
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class Circle:
    """What has to be known to tell others of marks.

    `rosters` are the present members of groups, `authors` who wrote the newest entries that were delivered, `silent`
    those who keep how far they have read to themselves.
    """

    marks: Sequence[Mark]
    rosters: Mapping[ConvId, Sequence[UserId]] = field(default_factory=dict)
    authors: Mapping[ConvId, Collection[UserId]] = field(default_factory=dict)
    silent: Collection[UserId] = frozenset()
    apart: Apart = frozenset()


def are_apart(one: UserId, other: UserId, apart: Apart) -> bool:
    return (one, other) in apart or (other, one) in apart


def members(conv: ConvId, rosters: Mapping[ConvId, Sequence[UserId]]) -> Sequence[UserId]:
    return ids.members_of(conv) if ids.is_direct(conv) else rosters.get(conv, ())


def told(
    circle: Circle, moved: Mapping[tuple[ConvId, UserId], int], ts: int
) -> Iterator[tuple[Mark, list[tuple[UserId, bytes]]]]:
    """For each mark, who is told of it, and what. `moved` says what did (`pabal.receipts`)."""
    for mark in circle.marks:
        what = moved[mark.conv, mark.user]
        others = [user for user in members(mark.conv, circle.rosters) if user != mark.user]
        few = len(others) < DELIVERED_TO_ALL
        authors = circle.authors.get(mark.conv, ())
        full = codec.encode(
            m.LiveReceipt(ts=ts, conv=mark.conv, user=mark.user, delivered=mark.delivered, read=mark.read)
        )
        part = codec.encode(m.LiveReceipt(ts=ts, conv=mark.conv, user=mark.user, delivered=mark.delivered))
        payloads = []
        for user in others:
            if are_apart(user, mark.user, circle.apart):
                continue
            sees = mark.user not in circle.silent and user not in circle.silent
            # What says nothing new to somebody would still tell when the other one was reading.
            if (what & READ and sees) or (what & DELIVERED and (few or user in authors)):
                payloads.append((user, full if sees else part))
        yield mark, payloads


def shown(
    marks: Iterable[tuple[str, int, int]], viewer: UserId, silent: Collection[str], apart: Apart
) -> list[m.Receipt]:
    """`(user, delivered, read)` of the members, as one of them finds them in the history."""
    return [
        m.Receipt(
            user=user,
            delivered=delivered,
            read=read if user == viewer or (user not in silent and viewer not in silent) else UNSET,
        )
        for user, delivered, read in marks
        if not are_apart(UserId(user), viewer, apart)
    ]
