"""What a client gets in the place of something that its Maximum Packet Size does not let through.

An update of the inbox becomes a stub, alone and in a page of `sync`, which ends where no more fits. Any other page
is refused, because nobody but who asked for it can say which part of it is wanted. Answers to requests that write
are never touched: a refusal in their place would be a lie.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from pabal import topics
from pabal.codec import Format, sniff
from pabal.errors import TooLarge

_KEPT: Final = ("seq", "epoch", "type", "ts", "conv", "message_id")
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
        if "rooms" in reply and "items" in reply:
            page = _page(reply, tools.items.decode(reply["items"]), room, form)
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


def _page(reply: dict[str, Raw], items: list[Raw], room: int, form: Format) -> bytes | None:
    """As many of a page's updates as fit, each that never would as a stub; None if not even the first fits."""
    encoder = _TOOLS[form].encoder
    # The count of a MessagePack array may take up to four bytes more, and each item of JSON has a comma behind it.
    left = whole = room - len(encoder.encode({**reply, "items": [], "more": True})) - 4
    fitting: list[Raw] = []
    for item in items:
        data = bytes(item)
        if len(data) + 1 > whole:
            data = stub(data, form)
        left -= len(data) + 1
        if left < 0:
            break
        fitting.append(Raw(data))
    if not fitting:
        return None
    is_cut = len(fitting) < len(items)
    return encoder.encode({**reply, "items": fitting, **({"more": True} if is_cut else {})})
