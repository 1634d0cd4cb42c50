"""Ways to break a promise: each changes clean evidence in one place, and says which rule has to notice."""

from collections.abc import Callable
from dataclasses import dataclass

from faultlab.evidence import Evidence
from faultlab.histories import DIRECT, EPOCH, GROUP, clean
from faultlab.recorder import Event


@dataclass(frozen=True)
class Doctored:
    """`change` breaks the promise that the rule named `rule` holds, in the evidence that `story` tells."""

    name: str
    rule: str
    change: Callable[[Evidence], None]
    story: Callable[[], Evidence] = clean


def receipts(evidence: Evidence, device: str) -> list[Event]:
    return [event for event in evidence.logs[device] if event["what"] == "receipt"]


def _items(evidence: Evidence, user: str, conv: str) -> list[Event]:
    return evidence.ends[user].conversations[conv].items


def _lose_everywhere(evidence: Evidence) -> None:
    """The newest message of the direct conversation was acknowledged, and a crash took it."""
    for user in ("ann", "ben"):
        end = evidence.ends[user]
        end.inbox.pop()
        end.head -= 1
        end.conversations[DIRECT].items.pop()
        end.conversations[DIRECT].head -= 1
    evidence.ends["ben"].conversations[DIRECT].unread = 1
    for device in ("ann:phone", "ben:pager", "ben:desk"):
        evidence.logs[device] = [e for e in evidence.logs[device] if e.get("seq") != 7]


def _answer_something_else(evidence: Evidence) -> None:
    changed = next(event for event in evidence.logs["ann:watch"] if event["what"] == "changed")
    changed["action"], changed["user"] = "joined", "cat"


def _lose_from_one_inbox(evidence: Evidence) -> None:
    evidence.ends["ben"].inbox[3]["type"] = "read"


def _no_news_of_a_group(evidence: Evidence) -> None:
    """Somebody was added to the group, and one inbox does not have it."""
    news = {"message_id": 4, "from": "ann", "type": "member", "action": "joined", "user": "cat"}
    for user in ("ann", "ben"):
        _items(evidence, user, GROUP).append(news)
        evidence.ends[user].conversations[GROUP].head = 4
    evidence.ends["ann"].inbox.append({"seq": 8, "conv": GROUP, **news})
    evidence.ends["ann"].head = 8
    evidence.ends["cat"].inbox.append({"seq": 1, "conv": GROUP, **news})
    evidence.ends["cat"].head = 1


def _twice_in_one_inbox(evidence: Evidence) -> None:
    end = evidence.ends["ben"]
    end.inbox.append({**end.inbox[-1], "seq": 8})
    end.head = 8


def _lose_on_one_device(evidence: Evidence) -> None:
    evidence.logs["ben:desk"] = [e for e in evidence.logs["ben:desk"] if e.get("seq") != 7]


def _lose_all_on_one_device(evidence: Evidence) -> None:
    evidence.logs["ben:desk"] = evidence.logs["ben:desk"][:1]


def _apply_twice(evidence: Evidence) -> None:
    last = receipts(evidence, "ben:desk")[-1]
    evidence.logs["ben:desk"].append({**last, "seq": 8})


def _two_numbers_for_an_id(evidence: Evidence) -> None:
    log = evidence.logs["ann:twin"]
    log.append({**log[-1], "message_id": 3})


def _two_numbers_for_a_change(evidence: Evidence) -> None:
    log = evidence.logs["ann:watch"]
    log.append({**log[-1], "message_id": 2})


def _store_twice(evidence: Evidence) -> None:
    """The same request, sent again after a lost reply, became a second message."""
    for user in ("ann", "ben"):
        end = evidence.ends[user]
        again = {"message_id": 5, "from": "ann", "text": "ann:phone 3 "}
        end.conversations[DIRECT].items.append(again)
        end.conversations[DIRECT].head = 5
        end.inbox.append({"seq": 8, "type": "message", "conv": DIRECT, **again})
        end.head = 8


def _skip_a_message_id(evidence: Evidence) -> None:
    for user in ("ann", "ben"):
        _items(evidence, user, GROUP)[2]["message_id"] = 4
        evidence.ends[user].conversations[GROUP].head = 4


def _skip_a_seq(evidence: Evidence) -> None:
    evidence.ends["ann"].inbox[-1]["seq"] = 8
    evidence.ends["ann"].head = 8


def _differ_in_history(evidence: Evidence) -> None:
    items = _items(evidence, "ben", DIRECT)
    items[0]["text"], items[2]["text"] = items[2]["text"], items[0]["text"]


def _differ_in_order_of_inboxes(evidence: Evidence) -> None:
    inbox = evidence.ends["ben"].inbox
    for name in ("message_id", "from", "text"):
        inbox[1][name], inbox[2][name] = inbox[2][name], inbox[1][name]


def _tell_a_device_something_else(evidence: Evidence) -> None:
    receipts(evidence, "ben:desk")[3]["text"] = "ann:phone 3"


def _overtake(evidence: Evidence) -> None:
    """The second message of a device was stored before its first one."""
    for user in ("ann", "ben"):
        items = _items(evidence, user, DIRECT)
        items[0]["text"], items[2]["text"] = items[2]["text"], items[0]["text"]


def _leak_into_an_inbox(evidence: Evidence) -> None:
    evidence.ends["cat"].inbox.append({**evidence.ends["ann"].inbox[0], "seq": 1})
    evidence.ends["cat"].head = 1


def _leak_to_a_device(evidence: Evidence) -> None:
    evidence.logs["cat:phone"].append({**receipts(evidence, "ben:desk")[3], "seq": 1})


def _leak_into_a_list(evidence: Evidence) -> None:
    evidence.ends["cat"].conversations[GROUP] = evidence.ends["ann"].conversations[GROUP]


def _make_up(evidence: Evidence) -> None:
    for user in ("ann", "ben"):
        _items(evidence, user, GROUP)[1]["text"] = "ann:twin 9 "


def _cut_a_text_short(evidence: Evidence) -> None:
    for user in ("ann", "ben"):
        _items(evidence, user, GROUP)[1]["text"] = "ann:twin 1"


def _go_back(evidence: Evidence) -> None:
    first = receipts(evidence, "ben:desk")[0]
    evidence.logs["ben:desk"] += [{"what": "start", "n": 2, "t": 95.0}, {**first, "t": 96.0}]


def _repeat_on_one_connection(evidence: Evidence) -> None:
    last = receipts(evidence, "ben:desk")[-1]
    evidence.logs["ben:desk"].append({**last, "t": 95.0})


def _swap_two_updates(evidence: Evidence) -> None:
    log = evidence.logs["ben:desk"]
    one, other = (log.index(receipt) for receipt in receipts(evidence, "ben:desk")[-2:])
    log[one], log[other] = log[other], log[one]


def _skip_after_a_break(evidence: Evidence) -> None:
    """Two updates were lost between two connections; the second connection itself has no hole."""
    log = evidence.logs["ben:pager"]
    lost = [event for event in log if event.get("seq") in {5, 6} or event.get("via") == 2]
    evidence.logs["ben:pager"] = [event for event in log if event not in lost and event.get("seq") != 7]
    evidence.logs["ben:pager"] += [event for event in lost if event.get("via") == 2]


def _start_over(evidence: Evidence) -> None:
    evidence.logs["ann:phone"].append(
        {"what": "receipt", "via": 0, "seq": 7, "epoch": EPOCH, "type": "snapshot", "conv": None, "t": 95.0}
    )


def _change_the_epoch(evidence: Evidence) -> None:
    receipts(evidence, "ben:desk")[0]["epoch"] = "e0"


def _miscount(evidence: Evidence) -> None:
    evidence.ends["ben"].conversations[DIRECT].unread = 3


def _forget_a_session(evidence: Evidence) -> None:
    evidence.logs["ben:pager"].append({"what": "connected", "via": 3, "present": False, "t": 95.0})


def _refuse(evidence: Evidence) -> None:
    evidence.logs["ann:phone"].append({"what": "refused", "id": "x", "error": "conflict", "t": 95.0})


def _refuse_a_member(evidence: Evidence) -> None:
    refused = {"what": "refused", "id": "x", "conv": GROUP, "error": "not_a_member", "t": 95.0}
    evidence.logs["ben:desk"].append(refused)


def _keep_the_outbox(evidence: Evidence) -> None:
    evidence.outbox = 1


def _complain(evidence: Evidence) -> None:
    evidence.complaints.append("a second server was not refused")


DOCTORED = (
    Doctored("acknowledged, and lost", "what was acknowledged is stored", _lose_everywhere),
    Doctored("another change than was asked for", "what was acknowledged is stored", _answer_something_else),
    Doctored("missing in one inbox", "what is stored is in every member's inbox, once", _lose_from_one_inbox),
    Doctored("no news of a group", "what is stored is in every member's inbox, once", _no_news_of_a_group),
    Doctored("twice in one inbox", "what is stored is in every member's inbox, once", _twice_in_one_inbox),
    Doctored(
        "the last one never reached a device", "what is in an inbox reaches every device", _lose_on_one_device
    ),
    Doctored("a device got nothing", "what is in an inbox reaches every device", _lose_all_on_one_device),
    Doctored("applied twice on a device", "no device gets a message under two seqs", _apply_twice),
    Doctored("two answers for one id", "one message_id for one id", _two_numbers_for_an_id),
    Doctored("two answers for one change", "one message_id for one id", _two_numbers_for_a_change),
    Doctored("stored twice", "one message_id for one id", _store_twice),
    Doctored("a hole in a conversation", "message_ids are dense from 1", _skip_a_message_id),
    Doctored("a hole in an inbox", "seqs are dense from 1", _skip_a_seq),
    Doctored("two histories of one conversation", "everybody sees the same order", _differ_in_history),
    Doctored("another order in an inbox", "everybody sees the same order", _differ_in_order_of_inboxes),
    Doctored(
        "a device was told something else",
        "devices were sent what the inbox holds",
        _tell_a_device_something_else,
    ),
    Doctored("overtaken by the next one", "one sender's order is kept", _overtake),
    Doctored("in a stranger's inbox", "nothing reaches who is no member", _leak_into_an_inbox),
    Doctored("on a stranger's device", "nothing reaches who is no member", _leak_to_a_device),
    Doctored("in a stranger's list", "nothing reaches who is no member", _leak_into_a_list),
    Doctored("nobody said it", "nothing is stored that nobody said", _make_up),
    Doctored("cut short", "nothing is stored that nobody said", _cut_a_text_short),
    Doctored("a cursor went back", "seqs rise by one, and cursors never go back", _go_back),
    Doctored(
        "twice on one connection", "seqs rise by one, and cursors never go back", _repeat_on_one_connection
    ),
    Doctored("two updates swapped", "seqs rise by one, and cursors never go back", _swap_two_updates),
    Doctored(
        "lost between two connections", "seqs rise by one, and cursors never go back", _skip_after_a_break
    ),
    Doctored("started over without need", "the epoch stays", _start_over),
    Doctored("another epoch without a restore", "the epoch stays", _change_the_epoch),
    Doctored("unread is wrong", "unread equals a recount", _miscount),
    Doctored("the session was forgotten", "persistent sessions are kept", _forget_a_session),
    Doctored("a good request was refused", "nothing is refused", _refuse),
    Doctored("a member was called a stranger", "nothing is refused", _refuse_a_member),
    Doctored("not handed over", "the outbox is empty at rest", _keep_the_outbox),
    Doctored("the bench saw it", "the laboratory noticed nothing", _complain),
)
