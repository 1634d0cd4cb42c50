"""Rooms of large groups: as they came, and as devices put them in order, healed from history.

A device notes `follow` (from which entry on, and why), `room` (what came on the topic, as it came) and `entry` (what
came from history). What it has `taken` is the next one each time.
"""

from collections.abc import Iterator

from faultlab.evidence import Case, Rule, entry_of, user_of


def _rooms_rise(case: Case) -> Iterator[str]:
    """Entries may be missing on a connection, but none comes twice, and none comes late."""
    for device, log in case.rooms():
        last: dict[tuple[int, str], int] = {}
        for event in log:
            if event["what"] == "room":
                key = event["via"], event["conv"]
                if event["message_id"] <= last.get(key, 0):
                    yield f"{device}: {event['conv']} #{event['message_id']} came behind #{last[key]}"
                last[key] = event["message_id"]


def _followers_get_everything_once(case: Case) -> Iterator[str]:
    for device, log in case.rooms():
        reached: dict[str, int] = {}
        for event in log:
            conv = event["conv"]
            if event["what"] == "follow":
                if event["from"] < reached.get(conv, 0) and event["why"] != "snapshot":
                    yield f"{device}: follows {conv} from #{event['from']}, and was at #{reached[conv]}"
                reached[conv] = event["from"]
            elif event["taken"]:
                if event["message_id"] != reached.get(conv, -1) + 1:
                    yield f"{device}: {conv} #{event['message_id']} came behind #{reached.get(conv)}"
                reached[conv] = event["message_id"]
        yield from _behind(case, device, reached)


def _behind(case: Case, device: str, reached: dict[str, int]) -> Iterator[str]:
    for conv, roster in case.rosters.items():
        head = max(case.entries[conv])
        if roster.large_from is not None and roster.is_in(user_of(device)) and reached.get(conv) != head:
            yield f"{device}: is at #{reached.get(conv)} of {conv}, whose head is #{head}"


def _following_begins_where_it_should(case: Case) -> Iterator[str]:
    """With the entry that made the group large, or with one's own coming; with anything after a restored backup."""
    for device, log in case.rooms():
        for event in log:
            if event["what"] != "follow":
                continue
            entry = case.entries[event["conv"]].get(event["from"])
            match event["why"], entry:
                case "large", entry if entry is not None and entry.mode == "large":
                    pass
                case "joined", entry if entry is not None and entry.user == user_of(device):
                    pass
                case "snapshot", _ if case.evidence.restored_at is not None:
                    pass
                case why, _:
                    yield f"{device}: follows {event['conv']} from #{event['from']}, which is {entry} ({why})"


def _rooms_say_what_history_says(case: Case) -> Iterator[str]:
    for device, log in case.rooms():
        for event in log:
            if event["what"] == "follow":
                continue
            conv, number = event["conv"], event["message_id"]
            entry = case.entries[conv].get(number)
            if entry != entry_of(event):
                yield f"{device}: {conv} #{number} was {entry_of(event)}, and is {entry}"
            if not case.roster(conv).is_large_at(number) and case.roster(conv).large_from != number:
                yield f"{device}: {conv} #{number} came by the room, and was small"


RULES: dict[str, Rule] = {
    "a room's entries rise on each connection": _rooms_rise,
    "who follows a room gets every entry once, in order": _followers_get_everything_once,
    "rooms are followed from the switch or the join on": _following_begins_where_it_should,
    "rooms say what history says": _rooms_say_what_history_says,
}
