"""Ways to break a promise to those who come and go, and to those who follow a room.

What the entries of the group are stands with `histories.club`.
"""

from collections.abc import Callable
from functools import partial

from faultlab.doctored import Doctored, receipts
from faultlab.evidence import Evidence
from faultlab.groups import noted
from faultlab.histories import CLUB, club
from faultlab.recorder import Event

_ALL = ("ann", "ben", "dan")


def _entry(evidence: Evidence, number: int) -> Event:
    return evidence.ends["ann"].conversations[CLUB].items[number - 1]


def _rooms(evidence: Evidence, device: str) -> list[Event]:
    return [event for event in evidence.logs[device] if event["what"] in {"room", "entry"}]


def _put(evidence: Evidence, user: str, number: int) -> None:
    """One more update at the end of an inbox."""
    end = evidence.ends[user]
    end.head += 1
    end.inbox.append({"seq": end.head, "conv": CLUB, **_entry(evidence, number)})


def _rewrite(evidence: Evidence, number: int, **fields: object) -> None:
    """The entry is another one, and everybody says so."""
    for end in evidence.ends.values():
        seen = end.conversations.get(CLUB)
        for item in [*(seen.items if seen else []), *end.inbox]:
            if item["message_id"] == number:
                item.update(fields)
    for device in evidence.logs:
        for event in evidence.logs[device]:
            if event["what"] in {"room", "receipt"} and event["message_id"] == number:
                event.update(fields)


def _show_the_past(evidence: Evidence) -> None:
    """The history goes back to before the last join."""
    evidence.ends["dan"].conversations[CLUB].items.insert(0, dict(_entry(evidence, 14)))


def _tell_who_was_removed(evidence: Evidence) -> None:
    """A device got an entry that was made between its user's two memberships."""
    said = {"what": "receipt", "via": 1, "seq": 4, "epoch": "e1", "t": 99.0}
    evidence.logs["dan:pager"].append({**said, **noted({**_entry(evidence, 6), "conv": CLUB})})


def _keep_listening(evidence: Evidence) -> None:
    """The subscription to the room outlived the membership."""
    heard = {"what": "room", "via": 1, "taken": False, "t": 99.0}
    evidence.logs["dan:pager"].append({**heard, **noted({**_entry(evidence, 14), "conv": CLUB})})


def _put_in_wrong_inbox(number: int, user: str) -> Callable[[Evidence], None]:
    return lambda evidence: _put(evidence, user, number)


def _lose_a_mention(evidence: Evidence) -> None:
    inbox = evidence.ends["dan"].inbox
    next(item for item in inbox if item["type"] == "mention")["type"] = "read"


def _join_twice(evidence: Evidence) -> None:
    _rewrite(evidence, 6, type="member", action="joined", user="ben", text=None)


def _leave_from_outside(evidence: Evidence) -> None:
    _rewrite(evidence, 6, type="member", action="left", user="dan", text=None)


def _hide_from_a_member(evidence: Evidence) -> None:
    del evidence.ends["dan"].conversations[CLUB]


def _let_a_stranger_speak(evidence: Evidence) -> None:
    _rewrite(evidence, 6, **{"from": "dan"})


def _grow_large_too_early(evidence: Evidence) -> None:
    evidence.small_limit = 4


def _stay_small(evidence: Evidence) -> None:
    evidence.small_limit = 2


def _grow_large_again(evidence: Evidence) -> None:
    _rewrite(evidence, 14, type="conversation", action="mode", mode="large", text=None)


def _miscount_after_coming_back(evidence: Evidence) -> None:
    evidence.ends["dan"].conversations[CLUB].unread = 5


def _repeat_in_a_room(evidence: Evidence) -> None:
    evidence.logs["ann:phone"].append({**_rooms(evidence, "ann:phone")[-1], "taken": False})


def _swap_in_a_room(evidence: Evidence) -> None:
    log = evidence.logs["ben:desk"]
    one, other = _rooms(evidence, "ben:desk")[1:3]
    at, then = log.index(one), log.index(other)
    log[at], log[then] = {**other, "taken": False}, {**one, "taken": False}


def _miss_in_a_room(number: int, evidence: Evidence) -> None:
    for event in _rooms(evidence, "ben:desk"):
        if event["message_id"] == number:
            evidence.logs["ben:desk"].remove(event)


def _take_twice(evidence: Evidence) -> None:
    last = _rooms(evidence, "ben:desk")[-1]
    evidence.logs["ben:desk"] += [{"what": "start", "n": 2, "t": 99.0}, {**last, "via": 2, "what": "entry"}]


def _follow_nothing(evidence: Evidence) -> None:
    log = evidence.logs["ben:desk"]
    evidence.logs["ben:desk"] = [e for e in log if e["what"] not in {"follow", "room"}]


def _follow_from_too_late(evidence: Evidence) -> None:
    """What was said right after the switch was skipped, and the log looks whole."""
    _miss_in_a_room(10, evidence)
    next(e for e in evidence.logs["ben:desk"] if e["what"] == "follow")["from"] = 10


def _follow_from_another_join(evidence: Evidence) -> None:
    follows = [event for event in evidence.logs["dan:pager"] if event["what"] == "follow"]
    follows[-1]["from"] = 8


def _say_something_else(evidence: Evidence) -> None:
    _rooms(evidence, "ben:desk")[0]["text"] = "ann:phone 7"


def _tell_by_room_what_is_small(evidence: Evidence) -> None:
    heard = {"what": "room", "via": 9, "taken": False, "t": 0.0}
    entry = {**heard, **noted({**_entry(evidence, 6), "conv": CLUB})}
    evidence.logs["ann:phone"].insert(1, entry)


def _differ_over_the_switch(evidence: Evidence) -> None:
    """One inbox has the join and the switch the other way round."""
    inbox = evidence.ends["ben"].inbox
    seqs = inbox[-1]["seq"], inbox[-2]["seq"]
    inbox[-1], inbox[-2] = inbox[-2], inbox[-1]
    inbox[-2]["seq"], inbox[-1]["seq"] = seqs[1], seqs[0]


def _lose_a_late_receipt(evidence: Evidence) -> None:
    evidence.logs["dan:pager"].remove(receipts(evidence, "dan:pager")[-1])


_MADE = "what is stored is in every member's inbox, once"
_OTHERS = "nothing reaches who is no member"
_RISE = "a room's entries rise on each connection"
_ONCE = "who follows a room gets every entry once, in order"
_BEGIN = "rooms are followed from the switch or the join on"

DOCTORED_CLUBS = tuple(
    Doctored(name, rule, change, club)
    for name, rule, change in (
        ("history goes back to before the join", "message_ids are dense from 1", _show_the_past),
        ("on the device of one who was removed", _OTHERS, _tell_who_was_removed),
        ("in the room after being removed", _OTHERS, _keep_listening),
        ("in the inbox of one who was removed", _OTHERS, _put_in_wrong_inbox(6, "dan")),
        ("in the inbox of one who left", _OTHERS, _put_in_wrong_inbox(14, "eve")),
        ("copied into an inbox though it is large", _MADE, _put_in_wrong_inbox(14, "ann")),
        ("a mention was lost", _MADE, _lose_a_mention),
        ("an inbox turns the switch round", "everybody sees the same order", _differ_over_the_switch),
        ("joined who was in it", "members come and go in turn", _join_twice),
        ("left who was out of it", "members come and go in turn", _leave_from_outside),
        ("became large twice", "members come and go in turn", _grow_large_again),
        ("not in a member's list", "members come and go in turn", _hide_from_a_member),
        ("said by one who was removed", "only members speak", _let_a_stranger_speak),
        ("large too early", "a group becomes large once, where it passes the limit", _grow_large_too_early),
        ("large too late", "a group becomes large once, where it passes the limit", _stay_small),
        ("unread is wrong after coming back", "unread equals a recount", _miscount_after_coming_back),
        ("one's own coming never arrived", "what is in an inbox reaches every device", _lose_a_late_receipt),
        ("twice in a room", _RISE, _repeat_in_a_room),
        ("swapped in a room", _RISE, _swap_in_a_room),
        ("missing in the middle of a room", _ONCE, partial(_miss_in_a_room, 11)),
        ("the last one of a room never came", _ONCE, partial(_miss_in_a_room, 16)),
        ("taken twice after a restart", _ONCE, _take_twice),
        ("a member follows nothing", _ONCE, _follow_nothing),
        ("followed from too late", _BEGIN, _follow_from_too_late),
        ("followed from somebody else's join", _BEGIN, _follow_from_another_join),
        ("a room says something else", "rooms say what history says", _say_something_else),
        ("a small group's entry in the room", "rooms say what history says", _tell_by_room_what_is_small),
    )
)
