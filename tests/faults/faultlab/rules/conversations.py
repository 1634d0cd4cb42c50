"""Logs of conversations: their numbers, their members, and what is unread in them."""

from collections.abc import Iterator

from faultlab.evidence import ENTRIES, Case, Rule, entry_of


def _message_ids_are_dense(case: Case) -> Iterator[str]:
    """From 1; for who joined later, from the last join on."""
    for user, end in case.evidence.ends.items():
        for conv, seen in end.conversations.items():
            numbers = [item["message_id"] for item in seen.items]
            first = case.roster(conv).since(user) if case.roster(conv).is_in(user) else 1
            if numbers != list(range(first, seen.head + 1)):
                yield f"{user}: {conv} with head {seen.head} has {gist(numbers, first)}"
    for conv, entries in case.entries.items():
        if sorted(entries) != list(range(1, max(entries, default=0) + 1)):
            yield f"{conv}: all together see {gist(list(entries))}"


def _everybody_sees_the_same(case: Case) -> Iterator[str]:
    for user, end in case.evidence.ends.items():
        for conv, seen in end.conversations.items():
            for item in seen.items:
                if case.entries[conv][item["message_id"]] != entry_of(item):
                    yield f"{user}: {conv} #{item['message_id']} is {entry_of(item)} in history"
        last: dict[str, int] = {}
        for item in end.inbox:
            if item["type"] not in {*ENTRIES, "mention"}:
                continue
            conv, number = item["conv"], item["message_id"]
            said = entry_of({**item, "type": "message"} if item["type"] == "mention" else item)
            if case.entries[conv].get(number) != said:
                yield f"{user}: {conv} #{number} is {said} in the inbox"
            if number <= last.get(conv, 0):
                yield f"{user}: {conv} #{number} comes behind a later one"
            last[conv] = number


def _members_come_and_go_in_turn(case: Case) -> Iterator[str]:
    for roster in case.rosters.values():
        yield from roster.oddities
    for conv, roster in case.rosters.items():
        for user in roster.present():
            end = case.evidence.ends.get(user)
            if end is not None and conv not in end.conversations:
                yield f"{user}: is in {conv}, and it is not in the list"


def _only_members_speak(case: Case) -> Iterator[str]:
    for conv, entries in case.entries.items():
        for number, entry in entries.items():
            if not case.roster(conv).was_in(entry.sender, number):
                yield f"{conv} #{number} is by {entry.sender}, who was no member"


def _groups_grow_large_once(case: Case) -> Iterator[str]:
    limit = case.evidence.small_limit
    for conv, roster in case.rosters.items():
        over = next((number for number, size in roster.sizes.items() if size > limit), None)
        # A group that is made large is so from its first entry on; another one by the entry that follows.
        expected = None if over is None else 1 if over == 1 else over + 1
        if roster.large_from != expected:
            yield f"{conv} became large with #{roster.large_from}, and not with #{expected}"


def _unread_is_a_recount(case: Case) -> Iterator[str]:
    for user, end in case.evidence.ends.items():
        for conv, seen in end.conversations.items():
            count = sum(
                item["message_id"] > seen.read and item["from"] != user and entry_of(item).said
                for item in seen.items
            )
            if count != seen.unread:
                yield f"{user}: {conv} says {seen.unread} unread behind #{seen.read}, and there are {count}"


def gist(numbers: list[int], first: int = 1) -> str:
    holes = sorted(set(range(first, max(numbers, default=0) + 1)) - set(numbers))
    return (
        f"{len(numbers)} from {min(numbers, default=0)} up to {max(numbers, default=0)}, without {holes[:10]}"
    )


RULES: dict[str, Rule] = {
    "message_ids are dense from 1": _message_ids_are_dense,
    "everybody sees the same order": _everybody_sees_the_same,
    "members come and go in turn": _members_come_and_go_in_turn,
    "only members speak": _only_members_speak,
    "a group becomes large once, where it passes the limit": _groups_grow_large_once,
    "unread equals a recount": _unread_is_a_recount,
}
