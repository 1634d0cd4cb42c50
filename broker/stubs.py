"""What a client gets in the place of something that its Maximum Packet Size does not let through.

An update of the inbox becomes a stub, alone and in a page of `sync`, which ends where no more fits. So does every
page that says whether there is `more`. One of `history` is refused, because nobody but who asked for it can say
which end of it is wanted, and so is any other list. Answers to requests that write are never touched: a refusal in
their place would be a lie.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from pabal import topics
from pabal.codec import Format, sniff
from pabal.errors import TooLarge

_KEPT: Final = ("seq", "epoch", "type", "ts", "conv", "message_id")
# What is listed from its beginning on, in a page that may end anywhere.
_LISTED: Final = ("conversations", "contacts", "blocks", "users", "members", "reports")
_FIELDS: Final = dict[str, Raw]
_BRACKETS: Final = frozenset((*b"[", 0xDC, 0xDD, *range(0x90, 0xA0)))


@dataclass(frozen=True, slots=True)
class _Tools:
    fields: msgspec.json.Decoder[dict[str, Raw]] | msgspec.msgpack.Decoder[dict[str, Raw]]
    items: msgspec.json.Decoder[list[Raw]] | msgspec.msgpack.Decoder[list[Raw]]
    encoder: msgspec.json.Encoder | msgspec.msgpack.Encoder


_TOOLS: Final = {
    Format.JSON: _Tools(
        msgspec.json.Decoder(_FIELDS), msgspec.json.Decoder(list[Raw]), msgspec.json.Encoder()
    ),
    Format.MSGPACK: _Tools(
        msgspec.msgpack.Decoder(_FIELDS), msgspec.msgpack.Decoder(list[Raw]), msgspec.msgpack.Encoder()
    ),
}


def stub(payload: bytes, form: Format = Format.JSON) -> bytes:
    """What says where the rest of a large update is to be had; the payload itself if it is no update."""
    tools = _TOOLS[form]
    try:
        whole = tools.fields.decode(payload)
    except msgspec.DecodeError:
        return payload
    return tools.encoder.encode({**{name: whole[name] for name in _KEPT if name in whole}, "truncated": True})


def shorter_reply(topic: str, payload: bytes, room: int) -> bytes | None:
    """What a device is told instead of a reply that has more than `room` bytes; None if there is nothing to tell."""
    if not topic.startswith(topics.DOWN):
        return None
    form = sniff(payload)
    tools = _TOOLS[form]
    try:
        reply = tools.fields.decode(payload)
        listed = "items" if "rooms" in reply else next((name for name in _LISTED if name in reply), None)
        if listed is not None and "more" in reply:
            page = _page(reply, listed, room, form)
            if page is not None:
                return page
    except msgspec.DecodeError:
        return None
    if not any(bytes(value)[0] in _BRACKETS for value in reply.values()):
        return None
    refusal = {
        "re": reply.get("re"),
        "ok": False,
        "error": TooLarge.code,
        "detail": f"limit: the reply has {len(payload)} bytes, more than this client's maximum packet size lets through",
    }
    told = tools.encoder.encode(refusal)
    return told if len(told) <= room else None


def _page(reply: dict[str, Raw], listed: str, room: int, form: Format) -> bytes | None:
    """As much of a page as fits, each update that never would as a stub; None if not even the first fits."""
    items = _TOOLS[form].items.decode(reply[listed])
    encoder = _TOOLS[form].encoder
    # The count of a MessagePack array may take up to four bytes more, and each item of JSON has a comma behind it.
    left = whole = room - len(encoder.encode({**reply, listed: [], "more": True})) - 4
    fitting: list[Raw] = []
    for item in items:
        data = bytes(item)
        if len(data) + 1 > whole and listed == "items":
            data = stub(data, form)
        left -= len(data) + 1
        if left < 0:
            break
        fitting.append(Raw(data))
    if not fitting:
        return None
    is_cut = len(fitting) < len(items)
    return encoder.encode({**reply, listed: fitting, **({"more": True} if is_cut else {})})
