"""Judges what devices were told, against what the inboxes have. Pure: evidence in, broken promises out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from typing import NamedTuple

_SHOWN = 5


class Said(NamedTuple):
    """A message that was given to a device; no two have the same text. `place` is its number among those of its
    device. What is not acknowledged has no `message_id`.
    """

    text: str
    sender: str
    device: str
    conv: str
    place: int
    message_id: int | None = None


class Got(NamedTuple):
    """A message as an inbox has it, or as a device was handed it."""

    seq: int
    conv: str
    message_id: int
    sender: str
    text: str


@dataclass
class Evidence:
    """`inboxes` are whole, by user, as `sync` gives them: all updates' seqs in `seqs`, the messages among them in
    `inboxes`. `handed` is what each device (`user:device`) was handed, in its order, `since` the seq at which it
    began (0 where it is not there). `conversations` says who is in each.
    """

    conversations: dict[str, frozenset[str]]
    said: list[Said] = field(default_factory=list)
    seqs: dict[str, list[int]] = field(default_factory=dict)
    inboxes: dict[str, list[Got]] = field(default_factory=dict)
    handed: dict[str, list[Got]] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)


class Violation(NamedTuple):
    rule: str
    detail: str


def acknowledged_once(of: Evidence) -> Iterator[str]:
    for user, inbox in of.inboxes.items():
        times = Counter((got.conv, got.message_id, got.sender, got.text) for got in inbox)
        for one in of.said:
            if one.message_id is None or user not in of.conversations[one.conv]:
                continue
            found = times[one.conv, one.message_id, one.sender, one.text]
            if found != 1:
                yield f"{one.conv} #{one.message_id} ({one.text}) was acknowledged, and {user} has it {found} times"


def said_once(of: Evidence) -> Iterator[str]:
    known = {one.text: one for one in of.said}
    for user, inbox in of.inboxes.items():
        for text, times in Counter(got.text for got in inbox).items():
            if text not in known:
                yield f"{user} has {text!r}, and nobody said it"
            elif times > 1:
                yield f"{user} has {text!r} {times} times"
            elif user not in of.conversations[known[text].conv]:
                yield f"{user} has {text!r}, and is not in {known[text].conv}"


def inboxes_are_dense(of: Evidence) -> Iterator[str]:
    for user, seqs in of.seqs.items():
        for before, after in pairwise([0, *seqs]):
            if after != before + 1:
                yield f"{user}: {after} follows {before}"


def conversations_are_in_order(of: Evidence) -> Iterator[str]:
    """By message_id, and everybody sees the same under one number."""
    seen: dict[tuple[str, int], str] = {}
    for user, inbox in of.inboxes.items():
        last: dict[str, int] = {}
        for got in inbox:
            if got.message_id <= last.get(got.conv, 0):
                yield f"{user}: {got.conv} #{got.message_id} comes behind #{last[got.conv]}"
            last[got.conv] = got.message_id
            if seen.setdefault((got.conv, got.message_id), got.text) != got.text:
                yield f"{got.conv} #{got.message_id} is not the same for everybody: {user} has {got.text!r}"


def senders_keep_their_order(of: Evidence) -> Iterator[str]:
    known = {one.text: one for one in of.said}
    for user, inbox in of.inboxes.items():
        last: dict[tuple[str, str], Said] = {}
        for got in inbox:
            one = known.get(got.text)
            if one is None:
                continue
            before = last.get((one.device, one.conv))
            if before is not None and before.place > one.place:
                yield f"{user}: {one.device} said {one.text!r} before {before.text!r}"
            last[one.device, one.conv] = one


def devices_got_it_once(of: Evidence) -> Iterator[str]:
    """What a device was handed is its inbox, from its beginning to the last: in order, without gaps, nothing twice."""
    for device, handed in of.handed.items():
        whole = of.inboxes[device.partition(":")[0]]
        inbox = [got for got in whole if got.seq > of.since.get(device, 0)]
        for had, should in zip_longest(handed, inbox):
            if had != should:
                yield f"{device} was handed {had}, and {should} was its turn"
                break


RULES = {
    "what was acknowledged is there once": acknowledged_once,
    "nothing is there twice, or made up": said_once,
    "inboxes are dense": inboxes_are_dense,
    "conversations are in order": conversations_are_in_order,
    "one sender's order is kept": senders_keep_their_order,
    "devices are handed their inbox once": devices_got_it_once,
}


def judge(of: Evidence) -> list[Violation]:
    """Everything that is wrong, a few of each kind; empty when all promises were kept."""
    found = []
    for name, rule in RULES.items():
        details = list(rule(of))
        found += [Violation(name, detail) for detail in details[:_SHOWN]]
        if len(details) > _SHOWN:
            found.append(Violation(name, f"and {len(details) - _SHOWN} more"))
    return found
