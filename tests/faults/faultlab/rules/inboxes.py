"""Inboxes, as the server has them, and as they reached the devices."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from faultlab.evidence import ENTRIES, Case, Rule, entry_of, of_epoch, user_of
from faultlab.recorder import Event
from faultlab.rules.conversations import gist


def _stored_is_in_every_inbox_once(case: Case) -> Iterator[str]:
    """Of a large group only what is about the user, who is named in it or comes or goes."""
    wanted: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for conv, entries in case.entries.items():
        roster = case.roster(conv)
        for number, entry in entries.items():
            for user in roster.copies(number, entry):
                wanted[user].add((conv, number))
    for user, end in case.evidence.ends.items():
        there = Counter(
            (i["conv"], i["message_id"]) for i in end.inbox if i["type"] in ENTRIES or i["type"] == "mention"
        )
        for conv, number in sorted(wanted[user] | there.keys()):
            expected = int((conv, number) in wanted[user])
            if there[conv, number] != expected:
                yield f"{user}: {conv} #{number} is {there[conv, number]} times in the inbox, not {expected}"


def _seqs_are_dense(case: Case) -> Iterator[str]:
    for user, end in case.evidence.ends.items():
        seqs = [item["seq"] for item in end.inbox]
        if seqs != list(range(1, end.head + 1)):
            yield f"{user}: an inbox with head {end.head} has {gist(seqs)}"


def _nothing_for_others(case: Case) -> Iterator[str]:
    """Nothing that was made while one was no member, in the inbox, on a device or in a room; and no list of it."""
    for user, end in case.evidence.ends.items():
        for item in end.inbox:
            yield from _for_others(case, user, {"what": "in the inbox", **item})
        for conv in end.conversations:
            if not case.roster(conv).is_in(user):
                yield f"{user}: may read {conv}"
    for device, end, log in case.receivers():
        for event in of_epoch(log, end.epoch):
            yield from _for_others(case, device, event)
    for device, log in case.rooms():
        for event in log:
            if event["what"] != "follow":
                yield from _for_others(case, device, event)


def _for_others(case: Case, device: str, event: Event) -> Iterator[str]:
    conv = event.get("conv")
    if conv and not case.roster(conv).was_in(user_of(device), event["message_id"]):
        yield f"{device}: has {conv} #{event['message_id']} ({event['what']})"


def _inbox_reaches_every_device(case: Case) -> Iterator[str]:
    for device, end, log in case.receivers():
        receipts = of_epoch(log, end.epoch)
        began = _snapshot(log, end.epoch)
        if not receipts and end.head and (began is None or began < end.head) and not _was_reset(log):
            yield f"{device}: received nothing of {end.head} updates"
        if receipts:
            first = min(r["seq"] for r in receipts) if began is None else began + 1
            missing = set(range(first, end.head + 1)) - {r["seq"] for r in receipts}
            yield from (f"{device}: seq {seq} never arrived" for seq in sorted(missing))
            beyond = {r["seq"] for r in receipts} - set(range(first, end.head + 1))
            yield from (f"{device}: seq {seq} is above the head {end.head}" for seq in sorted(beyond))


def _applied_once(case: Case) -> Iterator[str]:
    for device, end, log in case.receivers():
        seqs: dict[tuple[str, int], set[int]] = defaultdict(set)
        for receipt in of_epoch(log, end.epoch):
            if receipt["type"] in ENTRIES:
                seqs[receipt["conv"], receipt["message_id"]].add(receipt["seq"])
        for (conv, number), at in seqs.items():
            if len(at) > 1:
                yield f"{device}: {conv} #{number} came as seqs {sorted(at)}"


def _devices_see_what_the_inbox_holds(case: Case) -> Iterator[str]:
    for device, end, log in case.receivers():
        held = {item["seq"]: item for item in end.inbox}
        for receipt in of_epoch(log, end.epoch):
            item = held.get(receipt["seq"])
            if item is not None and (_key(item), entry_of(item)) != (_key(receipt), entry_of(receipt)):
                yield f"{device}: seq {receipt['seq']} was {_key(receipt)} {entry_of(receipt)}, and is {_key(item)}"


def _cursors_never_go_back(case: Case) -> Iterator[str]:
    for device, _end, log in case.receivers():
        follows = case.evidence.kinds[device] != "plain"
        reached: dict[str, int] = {}
        for epoch, seqs in _passes(log):
            for one, other in pairwise(seqs):
                if other != one + 1:
                    yield f"{device}: seq {other} came behind {one} on one connection"
            before = reached.get(epoch)
            if before is not None and seqs[0] > before + 1:
                yield f"{device}: seq {seqs[0]} came behind {before}, after a break"
            if before is not None and follows and seqs[0] < before:
                yield f"{device}: went back from {before} to {seqs[0]}"
            reached[epoch] = max(before or 0, *seqs)


def _epochs_stay(case: Case) -> Iterator[str]:
    if case.evidence.restored_at is not None:
        return
    epochs = {end.epoch for end in case.evidence.ends.values()}
    for device, log in case.evidence.logs.items():
        for event in log:
            if event["what"] == "receipt" and event["type"] in {"reset", "snapshot"}:
                yield f"{device}: was told to start over at seq {event['seq']}"
            elif event["what"] == "receipt":
                epochs.add(event["epoch"])
    if len(epochs) > 1:
        yield f"epochs {sorted(map(str, epochs))}, and nothing was restored"


def _sessions_are_kept(case: Case) -> Iterator[str]:
    for device, log in case.evidence.logs.items():
        connected = [event["present"] for event in log if event["what"] == "connected"]
        received = [event for event in log if event["what"] == "receipt"]
        if received and sum(not present for present in connected) > 1:
            yield f"{device}: its persistent session was gone"


RULES: dict[str, Rule] = {
    "what is stored is in every member's inbox, once": _stored_is_in_every_inbox_once,
    "what is in an inbox reaches every device": _inbox_reaches_every_device,
    "no device gets a message under two seqs": _applied_once,
    "seqs are dense from 1": _seqs_are_dense,
    "devices were sent what the inbox holds": _devices_see_what_the_inbox_holds,
    "nothing reaches who is no member": _nothing_for_others,
    "seqs rise by one, and cursors never go back": _cursors_never_go_back,
    "the epoch stays": _epochs_stay,
    "persistent sessions are kept": _sessions_are_kept,
}


def _snapshot(log: list[Event], epoch: str) -> int | None:
    """The seq from which a device was told to start over in this epoch."""
    seqs = [
        e["seq"] for e in log if e["what"] == "receipt" and e["type"] == "snapshot" and e["epoch"] == epoch
    ]
    return seqs[-1] if seqs else None


def _was_reset(log: list[Event]) -> bool:
    """Whether the last thing that a plain client heard was that it has to start over."""
    receipts = [event for event in log if event["what"] == "receipt"]
    return bool(receipts) and receipts[-1]["type"] == "reset"


def _passes(log: list[Event]) -> Iterator[tuple[str, list[int]]]:
    """The seqs of each run of the device and each connection of it, apart by epoch."""
    run, current, seqs = 0, None, []
    for event in log:
        if event["what"] == "start":
            run += 1
        if event["what"] != "receipt" or event["seq"] is None or event["type"] == "snapshot":
            continue
        key = run, event["via"], event["epoch"]
        if key != current and seqs:
            yield current[2], seqs
            seqs = []
        current = key
        seqs.append(event["seq"])
    if seqs:
        yield current[2], seqs


def _key(item: Event) -> tuple[object, object, object]:
    return item["type"], item.get("conv"), item.get("message_id")
