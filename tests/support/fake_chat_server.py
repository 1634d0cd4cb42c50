"""A server in memory that keeps the contract of `up`, `down`, `inbox` and `room`, and nothing else.

What it does beside messages is in `fake_chat_ops`.
"""

import json

from fake_chat_ops import EntryOps, GroupOps, PeopleOps
from fake_chat_words import refusal

from pabal import topics
from pabal.ids import direct

_SHOWN = ("text", "body", "reply_to", "mentions", "forward_of", "expires_in")


class Group:
    """`since` has the present members, each with the first entry that it may see."""

    def __init__(self, name, limit):
        self.name = name
        self.limit = limit
        self.mode = "small"
        self.history, self.posting = "join", "all"
        self.since = {}
        self.roles = {}
        self.silenced = {}
        self.invites = {}


class FakeServer(EntryOps, GroupOps, PeopleOps):
    """Commits are lists; what a commit sends is returned, for the test to lose or double."""

    def __init__(self, epoch="e1"):
        self.epoch = epoch
        self.log = {}
        self.groups = {}
        self.inbox = {}
        self.known = {}
        self.cursors = {}
        self.refuse = {}
        self.seen = []
        self.page_limit = 500
        self.min_seq = {}
        self.silent_ops = set()
        self.reads = []
        self.deleted, self.muted, self.reports, self.typed = [], {}, [], []
        self.contacts, self.blocked, self.states = {}, {}, {}

    def restart(self):
        """What was on disk is there; what was only in memory is not."""
        self.refuse = {}
        self.silent_ops = set()

    def commit(self, sender, device, request):
        """Append a message once per id. Returns the reply's fields, and the publishes to inboxes and rooms."""
        conv = request.get("conv") or direct(*sorted((sender, request["to"])))
        key = (conv, sender, device, request.get("id"))
        if request.get("id") and key in self.known:
            return {**self.known[key], "dup": True}, []
        if conv in self.groups and sender not in self.groups[conv].since:
            return refusal("not_a_member"), []
        fields = {
            "from": sender,
            "kind": request.get("kind", "text"),
            **{name: request[name] for name in _SHOWN if name in request},
        }
        entry = self._append(conv, "message", request.get("id"), fields)
        done = {"conv": conv, "message_id": entry["message_id"], "ts": entry["ts"], "dup": False}
        self.known[key] = done
        if conv in self.groups:
            named = [one for one in request.get("mentions", []) if one in self.groups[conv].since]
            mentions = [self._put(one, {**entry, "type": "mention"}) for one in named]
            return done, self._tell_group(conv, entry) + (mentions if self.is_large(conv) else [])
        return done, [self._put(member, entry) for member in sorted(set(conv.split("~")))]

    def _append(self, conv, type_, request_id, fields):
        entries = self.log.setdefault(conv, [])
        message_id = len(entries) + 1
        ts = 1_700_000_000_000 + message_id
        entry = {"type": type_, "ts": ts, "conv": conv, "message_id": message_id, **fields}
        entries.append({**entry, "id": request_id})
        return entry

    def _put(self, member, entry):
        box = self.inbox.setdefault(member, [])
        update = {"seq": len(box) + 1, "epoch": self.epoch, **entry}
        box.append(update)
        return topics.inbox(member), json.dumps(update).encode()

    # Groups.

    def is_large(self, conv):
        return self.groups[conv].mode == "large"

    def in_room(self, user, conv):
        return conv in self.groups and user in self.groups[conv].since

    def create_group(self, conv, owner, *members, limit=100, name="Riders", request_id=None):
        group = self.groups[conv] = Group(name, limit)
        everybody = [owner, *members]
        group.mode = "large" if len(everybody) > limit else "small"
        group.since = dict.fromkeys(everybody, 1)
        fields = {"action": "created", "by": owner, "name": name, "mode": group.mode, "members": everybody}
        entry = self._append(conv, "conversation", request_id, fields)
        return [self._put(member, entry) for member in everybody]

    def join(self, conv, user):
        """Added by the server itself. Becomes large where the limit is crossed."""
        group = self.groups[conv]
        fields = {"action": "joined", "user": user, "by": "owner", "name": group.name, "mode": group.mode}
        entry = self._append(conv, "member", None, fields)
        group.since[user] = entry["message_id"]
        if self.is_large(conv):
            return [(topics.room(conv), json.dumps(entry).encode()), self._put(user, entry)]
        out = self._tell_group(conv, entry)
        return out + self.grow(conv) if len(group.since) > group.limit else out

    def grow(self, conv):
        """The one-way switch: the last entry that every inbox gets, and the first of the room."""
        group = self.groups[conv]
        group.mode = "large"
        entry = self._append(conv, "conversation", None, {"action": "mode", "by": "owner", "mode": "large"})
        inboxes = [self._put(member, entry) for member in group.since]
        return [*inboxes, (topics.room(conv), json.dumps(entry).encode())]

    def part(self, conv, user, action="removed"):
        """Who parts gets that entry as the last; not by the room, where it has no right any more."""
        fields = {"action": action, "user": user, "by": "owner"}
        entry = self._append(conv, "member", None, fields)
        out = [] if self.is_large(conv) else self._tell_group(conv, entry)
        del self.groups[conv].since[user]
        if self.is_large(conv):
            out = [self._put(user, entry), (topics.room(conv), json.dumps(entry).encode())]
        return out

    def _tell_group(self, conv, entry):
        if self.is_large(conv):
            return [(topics.room(conv), json.dumps(entry).encode())]
        return [self._put(member, entry) for member in self.groups[conv].since]

    def push(self, member, **fields):
        """Some other update into an inbox."""
        return self._put(member, {"type": "system", "ts": 1, **fields})

    # Requests.

    def handle(self, user, device, payload):
        """A publish on `up`. Returns what the server publishes for it."""
        request = json.loads(payload)
        self.seen.append(request)
        op, re_ = request.get("op", "send"), request.get("id")
        if op in self.silent_ops:
            return []
        down = topics.down(user, device)
        refusals = self.refuse.get(op, [])
        if refusals:
            return [(down, json.dumps({"re": re_, "ok": False, **refusals.pop(0)}).encode())]
        out = []
        name = op.replace(".", "_")
        if op == "send":
            fields, out = self.commit(user, device, request)
        elif make := getattr(self, f"make_{name}", None):
            fields, out = make(user, device, request)
        else:
            fields = getattr(self, f"do_{name}")(user, device, request)
        reply = [(down, json.dumps({"re": re_, "ok": True, **fields}).encode())] if re_ else []
        return reply + out

    def do_ack(self, user, device, request):
        self.cursors[user, device] = max(self.cursors.get((user, device), 0), request["seq"])
        return {}

    def do_read(self, user, _device, request):
        self.reads.append((user, request["conv"], request["message_id"]))
        return {}

    def do_sync(self, user, _device, request):
        box = self.inbox.get(user, [])
        after, epoch = request["after"], request.get("epoch")
        lost = after < self.min_seq.get(user, 1) - 1
        if lost or after > len(box) or (epoch is not None and epoch != self.epoch):
            rows = self.do_conversations(user, _device, request)["conversations"]
            return {
                "reset": True,
                "epoch": self.epoch,
                "head": len(box),
                "conversations": rows,
                "more": False,
            }
        items = box[after : after + min(request.get("limit", 500), self.page_limit)]
        more = after + len(items) < len(box)
        rooms = {
            conv: len(self.log[conv])
            for conv, group in self.groups.items()
            if self.is_large(conv) and user in group.since
        }
        return {"epoch": self.epoch, "head": len(box), "items": items, "more": more, "rooms": rooms}

    def do_conversations(self, user, _device, _request):
        return {
            "conversations": [self._row(conv) for conv in sorted(self.log) if self._sees(user, conv)],
            "more": False,
        }

    def _sees(self, user, conv):
        return user in conv.split("~") or self.in_room(user, conv)

    def _row(self, conv):
        head = len(self.log[conv])
        row = {"conv": conv, "kind": "direct", "head": head, "read": 0, "unread": head}
        if conv in self.groups:
            row |= {"kind": "group", "mode": self.groups[conv].mode, "name": self.groups[conv].name}
        return row

    def do_history(self, user, _device, request):
        conv = request["conv"]
        if not self._sees(user, conv):
            return refusal("not_a_member")
        log = self.log.get(conv, [])
        first = self.groups[conv].since[user] if conv in self.groups else 1
        after, before = request.get("after"), request.get("before") or len(log) + 1
        found = [
            as_history(entry)
            for entry in log
            if first <= entry["message_id"] < before and (after is None or entry["message_id"] > after)
        ]
        limit = min(request.get("limit", 50), self.page_limit)
        items = found[-limit:] if after is None else found[:limit]
        more = len(found) > limit
        return {"conv": conv, "head": len(log), "items": items, "more": more, "receipts": []}

    def restore(self, epoch, keep):
        """As after a restored backup: the newest entries are gone, and the epoch is another."""
        self.epoch = epoch
        for user, box in self.inbox.items():
            self.inbox[user] = [{**update, "epoch": epoch} for update in box[:keep]]


def as_history(entry):
    """An entry as history shows it: `from` for `by`, and a `type` only where it is no message."""
    item = {name: value for name, value in entry.items() if name != "conv"}
    if item["type"] == "message":
        del item["type"]
        return item
    return {"from": item.pop("from", None) or item.pop("by"), "kind": "", **item}
