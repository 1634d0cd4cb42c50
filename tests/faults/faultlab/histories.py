"""Evidence that is made up and keeps every promise: of quiet conversations, and of a group that comes and goes."""

from collections.abc import Iterable

from faultlab.evidence import ConversationEnd, Evidence, UserEnd
from faultlab.groups import noted
from faultlab.recorder import Event

EPOCH = "e1"
DIRECT, GROUP, CLUB = "ann~ben", "gaaaaaaaaaaaa", "gbbbbbbbbbbbb"
LIMIT = 3


class Story:
    """Tells what happened, and notes it where each of them would. `follow` devices keep to their rooms."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds = kinds
        self.logs: dict[str, list[Event]] = {name: [{"what": "start", "n": 1, "t": 0.0}] for name in kinds}
        self.histories: dict[str, list[Event]] = {}
        self.inboxes: dict[str, list[Event]] = {name.split(":")[0]: [] for name in kinds}
        self.following: dict[str, list[str]] = {}
        self._said: dict[str, int] = {}
        self._t = 0

    def said(self, device: str, conv: str, copies: Iterable[str], mentions: tuple[str, ...] = ()) -> None:
        """A device says something, and these users get a copy; of a large group, its followers too."""
        self._said[device] = self._said.get(device, 0) + 1
        text, id_ = f"{device} {self._said[device]}", f"{device}.{self._said[device]}"
        invoked = {"text": text, "size": len(text) + 1, "id": id_, "conv": conv}
        self._note(device, "invoke", **invoked)
        named = {"mentions": list(mentions)} if mentions else {}
        item = {"type": "message", "from": device.split(":", maxsplit=1)[0], "text": text + " ", **named}
        number = self.entry(conv, item, copies)
        self._note(device, "reply", id=id_, text=text, conv=conv, message_id=number, ok=True)

    def noted(self, conv: str, by: str, copies: Iterable[str], type_: str, **fields: object) -> None:
        """The server notes something of a group, as a steward has asked."""
        device = f"{by}:watch"
        self._said[device] = self._said.get(device, 0) + 1
        number = self.entry(conv, {"type": type_, "from": by, **fields}, copies)
        if fields["action"] != "mode":
            asked = {
                "id": f"watch.{self._said[device]}",
                "action": fields["action"],
                "user": fields.get("user", by),
            }
            self._note(device, "change", conv=conv, **asked)
            self._note(device, "changed", conv=conv, message_id=number, **asked)

    def entry(self, conv: str, item: Event, copies: Iterable[str]) -> int:
        self._t += 1
        log = self.histories.setdefault(conv, [])
        number = len(log) + 1
        log.append({"message_id": number, **item})
        for user in copies:
            mention = "mentions" in item and item["type"] == "message" and conv in self.following
            update = {"seq": len(self.inboxes[user]) + 1, "conv": conv, **log[-1]}
            self._deliver(user, {**update, "type": "mention"} if mention else update)
        for device in self.following.get(conv, []):
            self._note(device, "room", via=1, taken=True, **noted({**log[-1], "conv": conv}))
        return number

    def _deliver(self, user: str, update: Event) -> None:
        self.inboxes[user].append(update)
        for device, kind in self.kinds.items():
            if device.split(":")[0] == user and kind in {"sdk", "plain", "rest"}:
                numbered = {"via": int(kind == "plain"), "seq": update["seq"], "epoch": EPOCH}
                self._note(device, "receipt", **numbered, **noted(update))

    def follow(self, device: str, conv: str, why: str) -> None:
        """From the newest entry on."""
        self._note(device, "follow", conv=conv, why=why, **{"from": len(self.histories[conv])})
        self.following.setdefault(conv, []).append(device)

    def unfollow(self, device: str, conv: str) -> None:
        self.following[conv].remove(device)

    def _note(self, device: str, what: str, **fields: object) -> None:
        self.logs[device].append({"what": what, "t": float(self._t), **fields})

    def sees(self, conv: str, first: int = 1, read: int = 0, unread: int = 0) -> ConversationEnd:
        """The conversation as a member reads it in the end who may see it from this entry on."""
        items = [dict(item) for item in self.histories[conv][first - 1 :]]
        return ConversationEnd(len(self.histories[conv]), read, unread, items)

    def end(self, user: str, **conversations: ConversationEnd) -> UserEnd:
        inbox = [dict(item) for item in self.inboxes[user]]
        return UserEnd(EPOCH, len(inbox), inbox, conversations)


def clean() -> Evidence:
    """A group and six messages in two conversations, with a device restarted and a session resumed; cat is a stranger.

    The inboxes of ann and ben have the group's creation as 1, then the messages as 2 to 7.
    """
    kinds = {
        "ann:phone": "sdk",
        "ann:twin": "twin",
        "ben:pager": "plain",
        "ben:desk": "rest",
        "cat:phone": "sdk",
    }
    story = Story({**kinds, "ann:watch": "steward"})
    both = ("ann", "ben")
    story.logs["ben:pager"].append({"what": "connected", "via": 1, "present": False, "t": 0.1})
    story.noted(GROUP, "ann", both, "conversation", action="created", mode="small", members=list(both))
    for device, conv in (
        ("ann:phone", DIRECT),
        ("ben:pager", DIRECT),
        ("ann:phone", DIRECT),
        ("ann:twin", GROUP),
        ("ben:desk", GROUP),
        ("ann:phone", DIRECT),
    ):
        story.said(device, conv, both)
    for device, via in (("ann:phone", 0), ("ben:pager", 2)):
        _resume(story.logs[device], via)
    ends = {
        "ann": story.end("ann", **{DIRECT: story.sees(DIRECT, read=2), GROUP: story.sees(GROUP, read=3)}),
        "ben": story.end(
            "ben", **{DIRECT: story.sees(DIRECT, read=2, unread=2), GROUP: story.sees(GROUP, read=3)}
        ),
        "cat": story.end("cat"),
    }
    ends["ann"].conversations[DIRECT].read = 4
    return Evidence(story.logs, story.kinds, ends, small_limit=LIMIT)


def _resume(log: list[Event], via: int) -> None:
    """The device starts again, and is given its last update again, as it may be."""
    last = [event for event in log if event["what"] == "receipt"][-1]
    log.append({"what": "start", "n": 2, "t": 90.0})
    if via:
        log.append({"what": "connected", "via": via, "present": True, "t": 90.1})
    log.append({**last, "via": via, "t": 91.0})


def club() -> Evidence:
    """A group of ann's that dan joins, is removed from, comes back to; that eve makes large, and leaves.

    1 created  2 ann says  3 dan joins  4 dan says  5 dan is removed  6 ben says  7 dan joins  8 eve joins
    9 large  10 ann says  11 ben says, and names dan  12 eve leaves  13 dan is removed  14 ben says  15 dan joins
    16 dan says
    """
    kinds = {"ann:phone": "sdk", "ben:desk": "rest", "dan:pager": "plain"}
    story = Story({**kinds, **{f"{user}:watch": "steward" for user in ("ann", "dan", "eve")}})
    story.logs["dan:pager"].append({"what": "connected", "via": 1, "present": False, "t": 0.1})
    story.noted(
        CLUB, "ann", ("ann", "ben"), "conversation", action="created", mode="small", members=["ann", "ben"]
    )
    story.said("ann:phone", CLUB, ("ann", "ben"))
    _grow(story)
    story.noted(CLUB, "ann", ("ann", "ben", "dan", "eve"), "conversation", action="mode", mode="large")
    for device in kinds:
        story.follow(device, CLUB, "large")
    story.said("ann:phone", CLUB, ())
    story.said("ben:desk", CLUB, ("dan",), mentions=("dan",))
    story.noted(CLUB, "eve", ("eve",), "member", action="left", user="eve")
    story.unfollow("dan:pager", CLUB)
    story.noted(CLUB, "ann", ("dan",), "member", action="removed", user="dan")
    story.said("ben:desk", CLUB, ())
    story.noted(CLUB, "ann", ("dan",), "member", action="joined", user="dan", mode="large")
    story.follow("dan:pager", CLUB, "joined")
    story.said("dan:pager", CLUB, ())
    ends = {
        "ann": story.end("ann", **{CLUB: story.sees(CLUB, read=15, unread=1)}),
        "ben": story.end("ben", **{CLUB: story.sees(CLUB, read=14, unread=1)}),
        "dan": story.end("dan", **{CLUB: story.sees(CLUB, first=15, read=16)}),
        "eve": story.end("eve"),
    }
    return Evidence(story.logs, story.kinds, ends, small_limit=LIMIT)


def _grow(story: Story) -> None:
    story.noted(CLUB, "ann", ("ann", "ben", "dan"), "member", action="joined", user="dan", mode="small")
    story.said("dan:pager", CLUB, ("ann", "ben", "dan"))
    story.noted(CLUB, "ann", ("ann", "ben", "dan"), "member", action="removed", user="dan")
    story.said("ben:desk", CLUB, ("ann", "ben"))
    story.noted(CLUB, "ann", ("ann", "ben", "dan"), "member", action="joined", user="dan", mode="small")
    everybody = ("ann", "ben", "dan", "eve")
    story.noted(CLUB, "ann", everybody, "member", action="joined", user="eve", mode="small")
