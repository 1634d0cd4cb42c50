"""What was asked for, and what was answered."""

from collections import defaultdict
from collections.abc import Iterator

from faultlab.evidence import Answer, Case, Rule, user_of
from faultlab.recorder import Event
from faultlab.roster import Entry


def _acked_is_stored(case: Case) -> Iterator[str]:
    for answer in case.answers:
        if not case.counts(answer.t):
            continue
        if answer.message_id is None:
            if not case.places[answer.text or ""]:
                yield f"{answer.device}: {answer.text} was acknowledged and is nowhere"
            continue
        entry = case.entries[answer.conv].get(answer.message_id)
        if entry is None:
            yield f"{answer.device}: {answer.conv} #{answer.message_id} was acknowledged and is nowhere"
        elif not _is_meant(entry, answer):
            yield f"{answer.device}: {answer.conv} #{answer.message_id} should be {answer}, and is {entry}"


def _is_meant(entry: Entry, answer: Answer) -> bool:
    if entry.sender != user_of(answer.device):
        return False
    if answer.change is None:
        return answer.text in {None, entry.text}
    action, user = answer.change
    return entry.action == action and entry.user in {None, user}


def _one_number_an_id(case: Case) -> Iterator[str]:
    numbers: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for answer in case.answers:
        if answer.id is not None and answer.message_id is not None and case.counts(answer.t):
            numbers[answer.conv, answer.device, answer.id].add(answer.message_id)
    for (conv, device, id_), found in numbers.items():
        if len(found) > 1:
            yield f"{device}: id {id_} in {conv} was answered with {sorted(found)}"
    for spoken in case.spoken.values():
        if spoken.with_id and len(case.places[spoken.text]) > 1:
            yield f"{spoken.device}: {spoken.text} is stored as {case.places[spoken.text]}"


def _senders_keep_their_order(case: Case) -> Iterator[str]:
    for conv, entries in case.entries.items():
        last: dict[str, tuple[int, int]] = {}
        for number in sorted(entries):
            spoken = case.spoken.get(entries[number].text)
            if spoken is not None:
                place, before = last.get(spoken.device, (0, 0))
                if spoken.place < place:
                    yield f"{spoken.device}: {conv} #{number} was said before #{before}"
                last[spoken.device] = spoken.place, number


def _nothing_is_made_up(case: Case) -> Iterator[str]:
    for conv, entries in case.entries.items():
        for number, entry in entries.items():
            spoken = case.spoken.get(entry.text)
            if not entry.said:
                continue
            if spoken is None:
                yield f"{conv} #{number}: nobody said {entry}"
            elif (spoken.conv, user_of(spoken.device), spoken.size) != (conv, entry.sender, entry.size):
                yield f"{conv} #{number} is {entry}, but {spoken} was said"


def _nobody_is_refused(case: Case) -> Iterator[str]:
    refusals = {"refused", "login refused", "subscription refused", "room refused", "ended"}
    for device, log in case.evidence.logs.items():
        for event in log:
            if event["what"] in refusals and not _may_be_refused(case, device, event):
                told = {name: value for name, value in event.items() if name not in {"what", "t"}}
                yield f"{device}: {event['what']}: {told}"


def _may_be_refused(case: Case, device: str, event: Event) -> bool:
    """Who is no member may be told so; and after a restored backup much is not there any more."""
    error, conv = event.get("error"), case.conv_of(device, event)
    restored = case.evidence.restored_at is not None
    if event["what"] == "room refused" or error == "not_a_member":
        of_interest = case.rosters.values() if conv is None else [case.roster(conv)]
        return restored or any(roster.was_ever_out(user_of(device)) for roster in of_interest)
    return restored and error in {"not_found", "conflict"}


RULES: dict[str, Rule] = {
    "what was acknowledged is stored": _acked_is_stored,
    "one message_id for one id": _one_number_an_id,
    "one sender's order is kept": _senders_keep_their_order,
    "nothing is stored that nobody said": _nothing_is_made_up,
    "nothing is refused": _nobody_is_refused,
}
