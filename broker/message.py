"""One application message on its way to its receivers, encoded once however many they are.

At level 5 what is the same for all is encoded once too: a receiver has its own only where it has subscription
identifiers or topic aliases, or where the message expires.
"""

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from broker.mqtt.codec import publish_head
from broker.mqtt.fields import varint
from broker.mqtt.packets import LEVEL_5
from broker.mqtt.properties import Properties, encode_properties
from broker.terms import PLAIN_5, Terms

if TYPE_CHECKING:
    from broker.shared import Group

_EXPIRY: Final = b"\x02"
_IDENTIFIER: Final = b"\x0b"
_ALIAS: Final = b"\x23"
_RETAIN: Final = 4


class Message:
    """What was published. `qos` is that of the publisher; each receiver has its own, never a greater one.

    Attributes:
        retain: what the publisher said, for subscriptions that want to know.
        properties: of MQTT 5, without what belongs to one connection or one delivery.
        expires: when it is worth nothing any longer, in milliseconds since 1970; None: never.
        origin: the client id of the publisher, for subscriptions that do not want their own.
        key: its number on disk, 0 while it is not there.
        holders: how many deliveries on disk refer to it.
    """

    __slots__ = (
        "_frame",
        "_frame_5",
        "_heads",
        "_heads_5",
        "_properties",
        "_tail_5",
        "expires",
        "holders",
        "key",
        "origin",
        "payload",
        "properties",
        "qos",
        "retain",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool = False,
        properties: Properties | None = None,
        expires: int | None = None,
        origin: str | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.expires = expires
        self.origin = origin
        self.key = 0
        self.holders = 0
        self._frame: bytes | None = None
        self._frame_5: bytes | None = None
        self._heads: list[bytes | None] | None = None
        self._heads_5: list[bytes | None] | None = None
        self._properties: bytes | None = None
        self._tail_5: bytes | None = None

    @property
    def size(self) -> int:
        """About the bytes that it takes in a queue."""
        return len(self.payload) + len(self.topic) + 64

    def frame(self) -> bytes:
        """The whole packet at QoS 0 and level 4, not retained: the same bytes for all receivers."""
        frame = self._frame
        if frame is None:
            head = publish_head(self.topic.encode(), len(self.payload), 0)
            frame = self._frame = head + self.payload
        return frame

    def head(self, qos: int, *, retain: bool = False) -> bytes:
        """Of the packet at QoS 1 or 2 and level 4, what comes before the packet identifier."""
        heads = self._heads
        if heads is None:
            heads = self._heads = [None] * 8
        place = qos | retain * _RETAIN
        head = heads[place]
        if head is None:
            head = publish_head(self.topic.encode(), len(self.payload), qos, retain=retain)
            heads[place] = head
        return head

    def frame_5(self) -> bytes:
        """As `frame`, at level 5, where nothing of it belongs to one receiver."""
        frame = self._frame_5
        if frame is None:
            frame = self._frame_5 = self.encode(PLAIN_5, 0)
        return frame

    def head_5(self, qos: int) -> bytes:
        """As `head`, likewise; `tail_5` follows the packet identifier."""
        heads = self._heads_5
        if heads is None:
            heads = self._heads_5 = [None, None, None]
        head = heads[qos]
        if head is None:
            head = heads[qos] = publish_head(self.topic.encode(), len(self.tail_5()), qos)
        return head

    def tail_5(self) -> bytes:
        """Properties and payload."""
        tail = self._tail_5
        if tail is None:
            body = self._encoded()
            tail = self._tail_5 = varint(len(body)) + body + self.payload
        return tail

    @property
    def is_common(self) -> bool:
        """Whether all receivers of level 5 without aliases and identifiers get the same bytes."""
        return self.expires is None

    def encode(
        self,
        terms: Terms,
        qos: int,
        packet_id: int = 0,
        *,
        retain: bool = False,
        dup: bool = False,
        identifiers: tuple[int, ...] = (),
        now_ms: int = 0,
    ) -> bytes:
        """The whole packet for one receiver, of either level."""
        number = packet_id.to_bytes(2, "big") if qos else b""
        if terms.level != LEVEL_5:
            head = publish_head(self.topic.encode(), len(self.payload), qos, retain=retain, dup=dup)
            return head + number + self.payload
        own = b""
        if self.expires is not None:
            left = max(0, -((now_ms - self.expires) // 1000))
            own += _EXPIRY + left.to_bytes(4, "big")
        for identifier in identifiers:
            own += _IDENTIFIER + varint(identifier)
        topic = self.topic
        if terms.alias_maximum:
            alias = terms.aliases.get(topic)
            if alias is not None:
                topic = ""
            elif len(terms.aliases) < terms.alias_maximum:
                alias = terms.aliases[topic] = len(terms.aliases) + 1
            if alias is not None:
                own += _ALIAS + alias.to_bytes(2, "big")
        body = self._encoded()
        rest = varint(len(own) + len(body)) + own + body + self.payload
        return publish_head(topic.encode(), len(rest), qos, retain=retain, dup=dup) + number + rest

    def _encoded(self) -> bytes:
        """The properties that are the same for everybody, without the length in front."""
        body = self._properties
        if body is None:
            raw = encode_properties(self.properties)
            start = 1
            while raw[start - 1] & 0x80:
                start += 1
            body = self._properties = raw[start:]
        return body

    def is_expired(self, now_ms: int) -> bool:
        return self.expires is not None and now_ms >= self.expires

    # -- on disk

    def pack_properties(self) -> bytes | None:
        """Of a retained message, for `retained_row`."""
        return None if self.properties is None else _encoder.encode(self.properties)

    @classmethod
    def retained_row(
        cls, topic: str, payload: bytes, qos: int, properties: bytes | None, expires: int | None
    ) -> "Message":
        """Raises: msgspec.DecodeError."""
        said = _properties.decode(properties) if properties else None
        return cls(topic, payload, qos, retain=True, properties=said, expires=expires)

    def pack(self) -> bytes:
        """For `unpack`, in this version or a later one."""
        properties = b"" if self.properties is None else _encoder.encode(self.properties)
        return _encoder.encode(
            (self.topic, self.payload, self.qos, self.retain, properties, self.expires, self.origin)
        )

    @classmethod
    def unpack(cls, raw: bytes) -> "Message":
        """Raises: msgspec.DecodeError."""
        topic, payload, qos, retain, properties, expires, origin = _row.decode(raw)
        return cls(
            topic,
            payload,
            qos,
            retain=retain,
            properties=_properties.decode(properties) if properties else None,
            expires=expires,
            origin=origin,
        )


class Delivery(Struct, gc=False):
    """A message at QoS 1 or 2 for one session, until the client has it.

    Attributes:
        qos: of this delivery; `retain`: the flag as this receiver gets it.
        group: the shared subscription that it came by, so that somebody else can get it instead.
        place: in the order of the session's deliveries on disk, 0 if it is not kept there.
        packet_id: given once it is sent, or once it goes to disk.
        waits: it may not be sent before it is on disk.
        sent: it was sent, maybe on an earlier connection.
        released: QoS 2, the client has it, and is to be told so (PUBREL).
    """

    message: Message
    qos: int
    retain: bool = False
    identifiers: tuple[int, ...] = ()
    group: "Group | None" = None
    place: int = 0
    packet_id: int = 0
    waits: bool = False
    sent: bool = False
    released: bool = False


_encoder: Final = msgspec.msgpack.Encoder()
_row: Final = msgspec.msgpack.Decoder(tuple[str, bytes, int, bool, bytes, int | None, str | None])
_properties: Final = msgspec.msgpack.Decoder(Properties)
