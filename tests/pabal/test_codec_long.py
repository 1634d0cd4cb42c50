"""Long payloads: what is refused costs little, and what is long alone is taken."""

import tracemalloc

import pytest
from codec_checks import check

from pabal import codec
from pabal import messages as m
from pabal.codec import Format, Rejected

FORMATS = [Format.JSON, Format.MSGPACK]
LISTS = b"[" + b"[]," * 80_000 + b"[]]"
PACKED_LISTS = b"\xdd" + (250_000).to_bytes(4, "big") + b"\x90" * 250_000
NOT_YET = "this server does not offer it yet"


@pytest.mark.parametrize(
    ("payload", "form", "words"),
    [
        (b"[" + b"1," * 130_000 + b"1]", Format.JSON, "at most 100 requests in one array"),
        (b"[" + b"[]," * 80_000 + b"[]]", Format.JSON, "at most 100 requests in one array"),
        (PACKED_LISTS, Format.MSGPACK, "at most 100 requests in one array"),
        (PACKED_LISTS[:-1], Format.MSGPACK, "malformed MessagePack: Input data was truncated"),
        (b'{"id":"q","attachments":' + LISTS + b"}", Format.JSON, f"attachments: {NOT_YET}"),
        (
            b'{"id":"q","op":"send","forward_of":' + LISTS + b"}",
            Format.JSON,
            "forward_of: Expected `object | null`, got `array`",
        ),
        (
            b"\x82\xa2id\xa1q\xaaexpires_in" + PACKED_LISTS,
            Format.MSGPACK,
            "expires_in: Expected `int | null`, got `array`",
        ),
        (b'{"id":"q","op":' + LISTS + b"}", Format.JSON, "op: the name of an operation is a string"),
        (b'{"op":"ack","id":' + LISTS + b"}", Format.JSON, "id: Expected `str | null`, got `array`"),
        (b'{"id":"q","body":{"a":' + LISTS + b"}}", Format.JSON, "body: at most 65536 bytes"),
        (b"\x82\xa2id\xa1q\xa4body\x81\xa1a" + PACKED_LISTS, Format.MSGPACK, "body: at most 65536 bytes"),
        (
            b'{"id":"q","body":{"a":[' + b",".join([b"9" * 4200] * 60) + b"]}}",
            Format.JSON,
            "body: too many numbers of hundreds of digits",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_refused_is_not_built_first(payload, form, words):
    """Building it takes milliseconds, and half a second for the search for cycles that follows."""
    tracemalloc.start()
    try:
        (answer,) = codec.decode_requests(payload, form)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answer, Rejected)
    assert answer.error.detail.startswith(words)
    assert answer.re == ("q" if b"q" in payload else None)
    # Not more than a few copies of the payload; a list of its items would be ten times as much.
    assert peak < 5 * len(payload) + 100_000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("nothing", [None, []])
def test_nothing_in_the_place_of_what_is_not_offered_is_harmless_in_a_long_request_too(form, nothing):
    fields = {"to": "bob", "text": "x" * 2000, "attachments": nothing, "forward_of": None}
    (answer,) = check(codec.encode(fields, form), form)
    assert answer.text == "x" * 2000


@pytest.mark.parametrize("form", FORMATS)
def test_a_long_request_of_another_op_may_hold_what_a_send_may_not(form):
    (answer,) = check(codec.encode({"op": "ack", "seq": 4, "attachments": ["x" * 2000]}, form), form)
    assert answer == m.Ack(seq=4)


def test_long_numbers_in_strings_are_no_numbers():
    text = "9" * 30_000
    (answer,) = check(codec.encode({"to": "bob", "body": {"a": text}}), Format.JSON)
    assert answer.body == {"a": text}


def test_one_number_of_as_many_digits_as_python_takes_is_kept():
    (answer,) = check(b'{"to":"bob","body":{"a":' + b"9" * 4300 + b"}}", Format.JSON)
    assert answer.body["a"] == 10**4300 - 1


@pytest.mark.parametrize("nothing", [b"[]", b"[ ]", b"[\n\t ]", b"null"])
def test_no_attachments_are_none_in_a_long_request_too(nothing):
    text = b"x" * 2000
    (answer,) = check(b'{"to":"bob","text":"' + text + b'","attachments":' + nothing + b"}", Format.JSON)
    assert answer.text == text.decode()


@pytest.mark.parametrize("nothing", [b"\x90", b"\xdc\0\0", b"\xdd\0\0\0\0", b"\xc0"])
def test_no_attachments_of_a_long_messagepack_request_are_none(nothing):
    head = codec.encode({"to": "bob", "text": "x" * 2000}, Format.MSGPACK)
    (answer,) = check(b"\x83" + head[1:] + b"\xabattachments" + nothing, Format.MSGPACK)
    assert answer.text == "x" * 2000


@pytest.mark.parametrize(
    ("some", "form"),
    [
        (b"[1]", Format.JSON),
        (b"{}", Format.JSON),
        (b'"[]"', Format.JSON),
        (b"[", Format.MSGPACK),
        (b"\x91\x01", Format.MSGPACK),
    ],
)
def test_what_is_something_is_refused_in_a_long_request(some, form):
    if form is Format.JSON:
        payload = b'{"to":"bob","text":"' + b"x" * 2000 + b'","attachments":' + some + b"}"
    else:
        payload = (
            b"\x83" + codec.encode({"to": "bob", "text": "x" * 2000}, form)[1:] + b"\xabattachments" + some
        )
    (answer,) = check(payload, form)
    assert isinstance(answer, Rejected)
    assert answer.error.field == "attachments"
