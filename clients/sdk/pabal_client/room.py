"""One large group as the receiver keeps it, and the forms in which its entries come."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pabal.ids import ConvId, RequestId
from pabal.sequence import Reorder

HELD: Final = 100
"""How many entries of a room wait for an earlier one."""


class Entry(Struct, frozen=True):
    """What the receiver must know of an entry, in a room, in history or in the inbox."""

    message_id: int
    type: str = "message"
    conv: ConvId = ConvId("")
    action: str | None = None
    user: str | None = None
    mode: str | None = None


class Page(Struct, frozen=True):
    head: int
    items: list[msgspec.Raw]
    more: bool = False


read_entry = msgspec.json.Decoder(Entry).decode
read_page = msgspec.json.Decoder(Page).decode
_object = msgspec.json.Decoder(dict[str, Any])


class Room:
    """One large group. `head` is the highest message_id that is known to exist."""

    __slots__ = (
        "asked",
        "conv",
        "doubted",
        "floor",
        "head",
        "heard",
        "in_vain",
        "order",
        "settled",
        "silent",
    )

    def __init__(self, conv: ConvId, position: int) -> None:
        self.conv = conv
        self.order = Reorder(position, limit=HELD)
        self.head = position
        self.floor = 0.0
        self.in_vain = 0
        self.asked: RequestId | None = None
        # The server would not let us listen; history tells whether one is still in.
        self.doubted = False
        # The subscription stands; a page of the inbox made after that has told the head; and a later one told
        # of an entry that had not come by the room.
        self.heard = self.settled = self.silent = False

    @property
    def position(self) -> int:
        return self.order.cursor

    @property
    def is_behind(self) -> bool:
        return self.head > self.position or self.doubted

    def unlink(self) -> None:
        self.order.reset(self.position)
        self.asked, self.floor, self.in_vain = None, 0.0, 0
        self.heard = self.settled = self.silent = self.doubted = False


def as_in_a_room(item: msgspec.Raw, conv: ConvId) -> bytes:
    """An entry of history in the form in which the room had it."""
    fields = _object.decode(item)
    made: dict[str, Any] = {"type": fields.pop("type", "message"), "conv": conv}
    if made["type"] != "message":
        fields.pop("kind", None)
    if made["type"] in {"member", "conversation"}:
        made["by"] = fields.pop("from", "")
    return msgspec.json.encode(made | fields)
