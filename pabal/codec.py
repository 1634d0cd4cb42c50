"""Payloads to requests, and replies and updates to payloads: JSON, and MessagePack with the same fields.

Whatever the bytes, decoding answers with requests or with `errors.BadRequest` (or `errors.TooLarge`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import accumulate
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from pabal import messages as m
from pabal.errors import BadRequest, PabalError, TooLarge
from pabal.ids import REQUEST_ID_MAX
from pabal.push import TIME_PATTERN


class Format(Enum):
    JSON = "application/json"
    MSGPACK = "application/msgpack"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One request of a payload that could not be read, with the id to answer under, if there was one."""

    re: str | None
    error: PabalError


class _Outline(Struct, frozen=True):
    """A request with what may be large or of any type left as it is, so that looking costs next to nothing.
    What is not there is empty.
    """

    op: Raw = Raw()
    id: Raw = Raw()
    body: Raw = Raw()
    attachments: Raw = Raw()


# An array as a struct of one field more than it may have items: what is beyond is skipped, not built. A list
# of the 130,000 numbers that fit into a packet would be.
_PARTS: Final = [f"part_{place}" for place in range(m.MAX_ARRAY + 1)]
_Array: Final = msgspec.defstruct("_Array", [(name, Raw, Raw()) for name in _PARTS], array_like=True)
_WITH_CONTENT: Final = frozenset(("send", "edit"))
# What msgspec calls by its pattern.
_IN_WORDS: Final = {
    repr(m.KIND_PATTERN): "expected small letters, digits, dots, dashes and underscores",
    repr(TIME_PATTERN): "expected a time of day, such as 22:30",
}
_NULL: Final = frozenset((b"", b"null", b"\xc0"))
# Nothing in a list, in MessagePack.
_EMPTY: Final = frozenset((b"\x90", b"\xdc\0\0", b"\xdd\0\0\0\0"))
# Below it, a request is read without looking at its outline first.
_SMALL: Final = 1024
# Python reads and writes a number in the square of its digits: one may have as many as it takes (4,300), or
# several a few hundred each, but not all of them.
_LONG: Final = b"0" * 400
_MAX_LONG: Final = 12


def _double(text: str) -> float:
    """A JSON number with a fraction or exponent. Python's own reader, because msgspec's takes 8 µs for one near
    the ends of the range, and a packet full of those held everybody up for 170 ms.

    Raises: ValueError beyond what a double holds; msgspec makes its ValidationError of it.
    """
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number out of range")
    return value


class _Decoders:
    """The same set of decoders for one format."""

    def __init__(self, make: Any) -> None:
        self.array = make(_Array)
        self.outline = make(_Outline)
        self.text = make(str)
        self.send = make(m.Send)
        self.by_op = {op: make(kind) for op, kind in m.OPS.items()}


_DECODERS: Final = {
    Format.JSON: _Decoders(partial(msgspec.json.Decoder, float_hook=_double)),
    Format.MSGPACK: _Decoders(msgspec.msgpack.Decoder),
}
_encoder: Final = msgspec.json.Encoder(order=None)
_sorting: Final = msgspec.json.Encoder(order="deterministic")
_document: Final = msgspec.json.Decoder(float_hook=_double)
_to_msgpack: Final = msgspec.msgpack.Encoder()
# How msgspec ends its messages: "… - at `$.after`", or "… - at `key` in `$.body`" for the key of a map.
_PATH: Final = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_SHOWN: Final = 100
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NOT_KEPT: Final = bytes(set(range(256)).difference(b'[]{},:"'))
_NO_BRACKET: Final = bytes(set(range(256)).difference(b"[]{}"))
_DIGITS: Final = bytes(48 if 48 <= byte < 58 else 32 for byte in range(256))  # noqa: PLR2004 -- 0 to 9
_STEPS: Final = [1 if byte in b"[{" else -1 for byte in range(256)]
_NOT_JSON: Final = (
    "holds what JSON does not have: bytes, a timestamp, an extension, NaN or a key that is no string"
)
_ARRAY_BYTES: Final = frozenset((0xDC, 0xDD, *range(0x90, 0xA0)))
_MAP_BYTES: Final = frozenset((0xDE, 0xDF, *range(0x80, 0x90)))
_BROKEN: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError)


def sniff(payload: bytes) -> Format:
    """The format of a request payload, by its first byte: no JSON text begins as a MessagePack map or array."""
    if payload and (payload[0] in _MAP_BYTES or payload[0] in _ARRAY_BYTES):
        return Format.MSGPACK
    return Format.JSON


def decode_requests(payload: bytes, form: Format = Format.JSON) -> list[m.AnyRequest | Rejected]:
    """One request, or an array of at most 100, in order; each is either read or `Rejected`.

    Raises nothing: a payload without any readable request gives one `Rejected` with `re` None.
    """
    parts = split_requests(payload, form)
    return [parts] if isinstance(parts, Rejected) else [decode_request(part, form) for part in parts]


def split_requests(payload: bytes, form: Format = Format.JSON) -> list[bytes] | Rejected:
    """The requests of a payload, unread: itself, or the items of an array of at most 100.

    Whatever the payload, this is cheap, and so is `request_id_of` each; reading one may cost milliseconds.
    """
    if not _is_array(payload, form):
        return [payload]
    try:
        array: Any = _DECODERS[form].array.decode(payload)
    except _BROKEN as error:
        return Rejected(None, _malformed(error, form))
    parts = [part for name in _PARTS if (part := bytes(getattr(array, name)))]
    if not parts:
        return Rejected(None, BadRequest("an array of requests is not empty"))
    if len(parts) > m.MAX_ARRAY:
        return Rejected(None, TooLarge(f"at most {m.MAX_ARRAY} requests in one array"))
    return parts


def request_id_of(payload: bytes, form: Format = Format.JSON) -> str | None:
    """The id to answer an unread request under, or None if there is none that can be read."""
    try:
        outline: _Outline = _DECODERS[form].outline.decode(payload)
    except _BROKEN:
        return None
    return _answerable(_text(outline.id, form))


def decode_request(payload: bytes, form: Format = Format.JSON) -> m.AnyRequest | Rejected:
    """Exactly one request; an array is `Rejected`."""
    if len(payload) <= _SMALL:
        return _decode_one(payload, form)
    try:
        outline: _Outline = _DECODERS[form].outline.decode(payload)
    except _BROKEN as error:
        return Rejected(None, _malformed(error, form))
    if not outline.op or _text(outline.op, form) in _WITH_CONTENT:
        try:
            _check_outline(outline, form)
        except PabalError as error:
            return Rejected(_answerable(_text(outline.id, form)), error)
    return _decode_one(payload, form)


def _is_nothing(raw: bytes, form: Format) -> bool:
    """Null, or a list of nothing, however it is written."""
    if raw in _NULL:
        return True
    if form is Format.MSGPACK:
        return raw in _EMPTY
    return raw.startswith(b"[") and not raw[1:-1].strip()


def _check_outline(send: _Outline, form: Format) -> None:
    """What need not be built to be refused. Raises: BadRequest, TooLarge."""
    if not _is_nothing(bytes(send.attachments), form):
        raise BadRequest("this server does not offer it yet", field="attachments")
    # MessagePack is counted as it comes, because a byte of it may be a whole array. JSON is counted as we write
    # it (see `_check_body`), and these bytes are in there however it was written.
    body = bytes(send.body)
    least = len(body) if form is Format.MSGPACK else len(body.translate(None, _NOT_KEPT))
    if least > m.MAX_BODY_BYTES:
        raise TooLarge(f"at most {m.MAX_BODY_BYTES} bytes", field="body")
    if form is Format.JSON and _long_numbers(body) > _MAX_LONG < _long_numbers(_STRING.sub(b"", body)):
        raise BadRequest("too many numbers of hundreds of digits", field="body")


def _long_numbers(as_json: bytes) -> int:
    return as_json.translate(_DIGITS).count(_LONG)


def _is_array(payload: bytes, form: Format) -> bool:
    if form is Format.MSGPACK:
        return payload[:1] != b"" and payload[0] in _ARRAY_BYTES
    return payload[:1] == b"[" or payload.lstrip(b" \t\r\n")[:1] == b"["


def _decode_one(payload: bytes, form: Format) -> m.AnyRequest | Rejected:
    try:
        # By far the most, with or without `op`: read in one pass.
        return _checked(_DECODERS[form].send.decode(payload), form)
    except _BROKEN:
        pass  # it is another op, or the outline tells better what is wrong
    return _decode_by_op(payload, form) if payload else Rejected(None, BadRequest("the payload is empty"))


def _decode_by_op(payload: bytes, form: Format) -> m.AnyRequest | Rejected:
    decoders = _DECODERS[form]
    try:
        outline: _Outline = decoders.outline.decode(payload)
    except _BROKEN as error:
        return Rejected(None, _malformed(error, form))
    re_ = _answerable(_text(outline.id, form))
    op = _text(outline.op, form) if outline.op else "send"
    if op is None:
        return Rejected(re_, BadRequest("the name of an operation is a string", field="op"))
    if op not in m.OPS:
        return Rejected(re_, BadRequest(f"unknown operation {_shown(repr(op))}", field="op"))
    try:
        return _checked(decoders.by_op[op].decode(payload), form)
    except _BROKEN as error:
        return Rejected(re_, _malformed(error, form))


def _text(value: Raw, form: Format) -> str | None:
    """None if it is not there, or no string."""
    try:
        text: str = _DECODERS[form].text.decode(value)
    except _BROKEN:
        return None
    return text


def _answerable(request_id: object) -> str | None:
    """The id to answer under: None unless it is one that a request may have."""
    if isinstance(request_id, str) and 0 < len(request_id) <= REQUEST_ID_MAX and "\0" not in request_id:
        return request_id
    return None


def _checked(request: Any, form: Format) -> m.AnyRequest | Rejected:
    """What the types cannot say: sizes in bytes, U+0000, depth, and MessagePack values that JSON does not have."""
    try:
        if request.id is not None and "\0" in request.id:
            raise BadRequest("must not contain U+0000", field="id")
        match request:
            case m.Send():
                _check_send(request, form)
            case m.Edit():
                _check_content(request, form)
            case m.React() if "\0" in request.emoji:
                raise BadRequest("must not contain U+0000", field="emoji")
            case _:
                pass
    except PabalError as error:
        return Rejected(_answerable(request.id), error)
    checked: m.AnyRequest = request
    return checked


def _check_send(send: m.Send, form: Format) -> None:
    if (send.to is None) == (send.conv is None):
        raise BadRequest("exactly one of 'to' and 'conv' says where the message goes", field="to")
    if send.forward_of is None or send.text is not None or send.body is not None:
        _check_content(send, form)


def _check_content(send: m.Send | m.Edit, form: Format) -> None:
    if send.text is None and send.body is None:
        raise BadRequest("a message has 'text' or 'body' or both", field="text")
    if send.text is not None:
        if "\0" in send.text:
            raise BadRequest("must not contain U+0000", field="text")
        if len(send.text) * 4 > m.MAX_TEXT_BYTES and len(send.text.encode()) > m.MAX_TEXT_BYTES:
            raise TooLarge(f"at most {m.MAX_TEXT_BYTES} bytes", field="text")
    if send.body is not None:
        _check_body(send.body, form)


def _check_body(body: dict[str, Any], form: Format) -> None:
    try:
        as_json = _encoder.encode(body)
    except TypeError as error:
        raise BadRequest(_NOT_JSON, field="body") from error
    if len(as_json) > m.MAX_BODY_BYTES:
        raise TooLarge(f"at most {m.MAX_BODY_BYTES} bytes", field="body")
    # The encoder writes bytes, timestamps and NaN as something else, so what differs then had no place in JSON.
    if form is Format.MSGPACK and _document.decode(as_json) != body:
        raise BadRequest(_NOT_JSON, field="body")
    if _depth(as_json) > m.MAX_BODY_DEPTH:
        raise BadRequest(f"nested too deeply, at most {m.MAX_BODY_DEPTH} levels", field="body")


def _depth(as_json: bytes) -> int:
    """How deep objects and arrays lie in each other, or a number at most `MAX_BODY_DEPTH` that is not below it."""
    most = as_json.count(b"[") + as_json.count(b"{")
    if most <= m.MAX_BODY_DEPTH:
        return most
    brackets = _STRING.sub(b"", as_json).translate(None, _NO_BRACKET)
    return max(accumulate(map(_STEPS.__getitem__, brackets)))


def malformed(error: Exception) -> BadRequest:
    """What to tell whoever sent a JSON document that msgspec refused with this error."""
    return _malformed(error, Format.JSON)


def _malformed(error: Exception, form: Format) -> BadRequest:
    """A message of msgspec in our words; never longer than a line or two, whatever it quotes."""
    text = str(error)
    if isinstance(error, RecursionError):
        return BadRequest("nested too deeply")
    at = _PATH.search(text)
    if missing := _MISSING.search(text):
        within = "" if at is None else at["path"] + "."
        return BadRequest("this field is required", field=within + missing[1])
    if at is not None:
        what = "every key is a string" if at["key"] else _in_words(text[: at.start()].rstrip())
        return BadRequest(_shown(what), field=at["path"].removesuffix("[...]") or None)
    if isinstance(error, msgspec.ValidationError):
        return BadRequest(_shown(text))
    name = "MessagePack" if form is Format.MSGPACK else "JSON"
    if isinstance(error, UnicodeDecodeError):
        return BadRequest(f"malformed {name}: text that is not UTF-8")
    return BadRequest(f"malformed {name}: {_shown(text.rpartition(' is malformed: ')[2])}")


def _in_words(text: str) -> str:
    _, _, pattern = text.partition(" matching regex ")
    return _IN_WORDS.get(pattern, text)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def encode(value: object, form: Format = Format.JSON) -> bytes:
    """A reply or update as bytes."""
    as_json = _encoder.encode(value)
    return as_json if form is Format.JSON else to_msgpack(as_json)


def raw(as_json: bytes) -> Raw:
    """A document that is encoded already, to be set into another as it is."""
    return Raw(as_json)


def to_msgpack(as_json: bytes) -> bytes:
    """The same document in MessagePack. Integers that it cannot hold become the nearest double, which is what
    most readers of the JSON see too.
    """
    document = _document.decode(as_json)
    try:
        return _to_msgpack.encode(document)
    except OverflowError:
        return _to_msgpack.encode(_in_64_bits(document))


def _in_64_bits(value: Any) -> Any:
    match value:
        case dict():
            return {key: _in_64_bits(item) for key, item in value.items()}
        case list():
            return [_in_64_bits(item) for item in value]
        case int() if not -(2**63) <= value < 2**64:
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case _:
            return value


def refusal(re_: str | None, error: PabalError) -> m.Refused:
    return m.Refused(re=re_, ok=False, error=error.code, detail=error.detail, retry_after=error.retry_after)


def update_tail(epoch: str, update: m.Update) -> bytes:
    """Everything of an update behind its seq, which alone differs between recipients."""
    return b',"epoch":' + _encoder.encode(epoch) + b"," + _encoder.encode(update)[1:]


def room_entry(update: m.EntryUpdate) -> bytes:
    """An entry of a large group, as `room/{conv}` carries it: no inbox, so no seq."""
    return _encoder.encode(update)


def with_seq(seq: int, tail: bytes) -> bytes:
    """The update as one recipient gets it, seq first."""
    return b'{"seq":%d%b' % (seq, tail)


def with_sender_fields(tail: bytes, device: str, request_id: str | None) -> bytes:
    """The tail as the sender's own devices get it: they are told which request this was."""
    if request_id is None:
        return tail[:-1] + b',"device":' + _encoder.encode(device) + b"}"
    return (
        tail[:-1] + b',"id":' + _encoder.encode(request_id) + b',"device":' + _encoder.encode(device) + b"}"
    )


def canonical(parts: Sequence[object]) -> bytes:
    """The same bytes for the same content, however its keys were ordered; what a digest is taken of."""
    return _sorting.encode(parts)
