"""No payload makes the codec raise, and each refusal says what is wrong in a line."""

import datetime as dt
import json
import sys

import msgspec
import pytest
from codec_checks import check, refused
from hypothesis import example, given
from hypothesis import strategies as st

from pabal import codec
from pabal import messages as m
from pabal.codec import Format, Rejected
from pabal.errors import BadRequest

FORMATS = [Format.JSON, Format.MSGPACK]
pack = msgspec.msgpack.encode
HI = b'{"id":"q","to":"bob","text":"hi"}'


@pytest.mark.parametrize("form", FORMATS)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc1")
@example(b"\xff" * 9)
def test_no_bytes_make_decoding_raise(form, payload):
    check(payload, form)


VALID = [
    {"to": "bob", "text": "파발", "id": "q", "mentions": ["bob", "carol"]},
    {"op": "send", "conv": "a~b", "body": {"n": [1, -1.5e300, None, True, "\u0001\U0001f600"], "": {}}},
    {"op": "sync", "after": 2**40, "epoch": "e", "limit": 20, "id": "s"},
    [{"op": "read", "conv": "a~b", "message_id": 3}, {"op": "ack", "seq": 1}, {"op": "history", "conv": "g"}],
]
PIECES = [
    b"\x00",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xed\xa0\x80",
    b"[",
    b"{",
    b"]",
    b"}",
    b",",
    b":",
]
PIECES += [b"1e999", b"-", b"9" * 400, b"NaN", b"\xef\xbb\xbf", b"null", b'"op":', b'"id":', b'"to":"b",']
PIECES += [
    b"\x80",
    b"\x81\xa1a",
    b"\x91",
    b"\xc1",
    b"\xc4\x01x",
    b"\xcb\x7f\xf8" + b"\0" * 6,
    b"\xd4\x05x",
    b"\xc0",
]
PIECES += [
    b"\xd6\xff\0\0\0\0",
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
]


@st.composite
def mutated(draw, form):
    value = draw(st.sampled_from(VALID))
    payload = json.dumps(value).encode() if form is Format.JSON else pack(value)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        until = draw(st.integers(at, min(len(payload), at + 6)))
        payload = payload[:at] + draw(st.sampled_from(PIECES) | st.binary(max_size=3)) + payload[until:]
    return payload


@pytest.mark.parametrize("form", FORMATS)
@given(st.data())
def test_a_valid_payload_with_some_bytes_changed_is_read_or_refused(form, data):
    check(data.draw(mutated(form)), form)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, -2) | st.integers(0, 127), st.binary(max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.integers(-5, 300) | st.binary(max_size=2), inner, max_size=3
        )
    ),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "op",
        "id",
        "to",
        "conv",
        "text",
        "body",
        "kind",
        "reply_to",
        "mentions",
        "seq",
        "after",
        "limit",
        "message_id",
    ]
)
ill_typed = st.dictionaries(fields, anything | st.sampled_from([*m.OPS, "bob"]), max_size=5)


def is_json(value):
    """The naive meaning of "JSON can say it"."""
    match value:
        case dict():
            return all(isinstance(key, str) and is_json(item) for key, item in value.items())
        case list():
            return all(is_json(item) for item in value)
        case float():
            return value - value == 0
        case _:
            return value is None or isinstance(value, bool | int | str)


@given(ill_typed | st.lists(ill_typed, max_size=3) | anything)
def test_no_messagepack_value_makes_decoding_raise(value):
    check(pack(value), Format.MSGPACK)


@given(st.dictionaries(st.text(max_size=3), anything, max_size=4))
def test_a_messagepack_body_is_taken_just_when_json_can_say_it(body):
    (answer,) = check(pack({"to": "bob", "body": body, "id": "q"}), Format.MSGPACK)
    if is_json(body):
        assert answer == m.Send(id="q", to="bob", body=body)
    else:
        assert (answer.re, answer.error.code, answer.error.field) == ("q", "bad_request", "body")


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        float("nan"),
        float("inf"),
        -float("inf"),
        msgspec.msgpack.Ext(5, b"x"),
        {1: 2},
        {None: 1},
        {b"a": 1},
        {1.5: 1},
        {True: 1},
        {(1, 2): 1},
        dt.datetime(2026, 11, 22, tzinfo=dt.UTC),
        [[{"a": [b""]}]],
    ],
)
def test_what_json_does_not_have_is_refused_in_a_messagepack_body(value):
    assert refused(pack({"to": "bob", "body": {"a": value}}), Format.MSGPACK) == (None, "bad_request", "body")
    assert not isinstance(check(pack({"to": "bob", "body": {"a": "b"}}), Format.MSGPACK)[0], Rejected)


@pytest.mark.parametrize(
    ("payload", "field", "words"),
    [
        (b"", None, "the payload is empty"),
        (b" ", None, "malformed JSON: Input data was truncated"),
        (HI[:-1], None, "malformed JSON: Input data was truncated"),
        (HI + b" x", None, "malformed JSON: trailing characters"),
        (HI + HI, None, "malformed JSON: trailing characters"),
        (b"\xef\xbb\xbf" + HI, None, "malformed JSON: invalid character (byte 0)"),
        (HI.replace(b"}", b",}"), None, "malformed JSON: trailing comma"),
        (HI.replace(b'"', b"'"), None, "malformed JSON: "),
        (b"hi", None, "malformed JSON: "),
        (b"null", None, "Expected `object`, got `null`"),
        (b"5", None, "Expected `object`, got `int`"),
        (b'"hi"', None, "Expected `object`, got `str`"),
        (b"[[]]", None, "Expected `object`, got `array`"),
        (b'{"to":"bob","text":"\\udc00"}', None, "malformed JSON: invalid utf-16 surrogate pair"),
        (b'{"to":"bob","text":"\\ud800\\u0041"}', None, "malformed JSON: invalid utf-16 surrogate pair"),
        (b'{"to":"bob","text":"\xff"}', None, "malformed JSON: text that is not UTF-8"),
        (b'{"to":"bob","text":"\xed\xa0\x80"}', None, "malformed JSON: text that is not UTF-8"),
        (b'{"to":"bob","text":"\n"}', None, "malformed JSON: invalid character"),
        (b'{"to":"bob","body":{"a":NaN}}', None, "malformed JSON: invalid character"),
        (b'{"to":"bob","body":{"a":1e999}}', "body", "body: Number out of range"),
        (b'{"to":"bob","body":{"a":[0,-1e999]}}', "body[...][1]", "body[...][1]: Number out of range"),
        (b'{"to":"bob","body":{"a":' + b"9" * 5000 + b"}}", "body", "body: Integer value out of range"),
        (b'{"to":"bob"}', "text", "text: a message has 'text' or 'body' or both"),
        (b"{}", "to", "to: exactly one of 'to' and 'conv'"),
        (b'{"op":"edit","conv":"a~b","target":1}', "text", "text: a message has 'text' or 'body' or both"),
        (b'{"op":"edit","conv":"a~b","target":0,"text":""}', "target", "target: Expected `int` >= 1"),
        (
            b'{"op":"react","conv":"a~b","target":1,"emoji":""}',
            "emoji",
            "emoji: Expected `str` of length >= 1",
        ),
        (
            b'{"op":"react","conv":"a~b","target":1,"emoji":"\\u0000"}',
            "emoji",
            "emoji: must not contain U+0000",
        ),
        (b'{"op":"shout"}', "op", "op: unknown operation 'shout'"),
        (b'{"op":7}', "op", "op: the name of an operation is a string"),
        (b'{"op":"sync"}', "after", "after: this field is required"),
        (b'{"op":"sync","after":1e400}', "after", "after: Number out of range"),
        (b'{"op":"sync","after":"1"}', "after", "after: Expected `int`, got `str`"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"a":' * 50_000, None, "nested too deeply"),
        (b'{"to":"bob","body":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}", None, "nested too deeply"),
    ],
)
def test_each_malformed_json_is_refused_in_words_that_help(payload, field, words):
    assert refused(payload) == (None, "bad_request", field)
    assert codec.decode_requests(payload)[0].error.detail.startswith(words)


@pytest.mark.parametrize(
    ("payload", "field", "words"),
    [
        (b"", None, "the payload is empty"),
        (b"\x82\xa2to\xa3bob", None, "malformed MessagePack: Input data was truncated"),
        (pack({"to": "bob", "text": "x"}) + b"\x01", None, "malformed MessagePack: trailing characters"),
        (b"\xc1", None, "malformed MessagePack: invalid opcode"),
        (b"\x82\xa2to\xa3bob\xa4text\xa3\xed\xa0\x80", None, "malformed MessagePack: text that is not UTF-8"),
        (b"\x82\xa2to\xa3bob\xa4text\xa1\xff", None, "malformed MessagePack: text that is not UTF-8"),
        (b"\xdf\xff\xff\xff\xff", None, "malformed MessagePack: Input data was truncated"),
        (b"\xdd\xff\xff\xff\xff", None, "malformed MessagePack: Input data was truncated"),
        (b"\x81\xa4body\x81\x80\x01", "body", "body: every key is a string"),
        (b"\x81\xa2op\x81\x80\x01", "op", "op: the name of an operation is a string"),
        (b"\x91" * 100_000, None, "nested too deeply"),
        (b"\x81\xa1a" * 50_000, None, "nested too deeply"),
        (pack({"to": "bob", "text": "x", 1: 2}), None, "every key is a string"),
        (pack({"to": "bob", "body": {1: 2}}), "body", "body: every key is a string"),
        (pack({"to": b"bob", "text": "x"}), "to", "to: Expected `str | null`, got `bytes`"),
        (
            b"\x82\xa2to\xa3bob\xa4body\x81\xa1a\xc7\x0c\xff" + b"\xff" * 12,
            "body",
            "body: Invalid MessagePack timestamp",
        ),
        (pack({"op": "ack", "seq": 2**64 - 1}), "seq", "seq: Expected `int` <="),
    ],
)
def test_each_malformed_messagepack_is_refused_in_words_that_help(payload, field, words):
    assert refused(payload, Format.MSGPACK) == (None, "bad_request", field)
    assert codec.decode_requests(payload, Format.MSGPACK)[0].error.detail.startswith(words)


def test_the_id_is_answered_under_where_only_something_behind_it_is_malformed():
    assert refused(b'{"id":"q","to":"bob","text":"\xff"}')[0] == "q"
    assert refused(b'{"id":"q","to":"bob","body":{"a":1e999}}')[0] == "q"


@pytest.mark.parametrize("form", FORMATS)
def test_however_deep_it_is_nested_a_payload_is_read_or_refused(form):
    opened, middle, closed = {Format.JSON: (b"[", b"0", b"]"), Format.MSGPACK: (b"\x91", b"\x00", b"")}[form]
    limit = sys.getrecursionlimit()
    for depth in [*range(limit - 60, limit + 3), 5000]:
        deep = opened * depth + middle + closed * depth
        for value in ({"op": 0}, {"id": 0}, {"to": "b", "body": {"a": 0}}, {"to": "b", "text": "x", "z": 0}):
            packed = json.dumps(value, separators=(",", ":")).encode() if form is Format.JSON else pack(value)
            cut = packed.rindex(b"0" if form is Format.JSON else b"\x00")
            check(packed[:cut] + deep + packed[cut + 1 :], form)


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b'{"to":"bob","text":"a","to":"eve","text":"b"}', m.Send(to="eve", text="b")),
        (b'{"id":"a","op":"ack","seq":1,"id":"b","seq":2}', m.Ack(id="b", seq=2)),
        (b'{"to":"bob","body":{"a":1,"a":2}}', m.Send(to="bob", body={"a": 2})),
        (b'{"op":"ack","seq":1,"op":"ack"}', m.Ack(seq=1)),
    ],
)
def test_of_a_field_that_is_said_twice_the_last_counts(payload, answer):
    assert check(payload, Format.JSON) == [answer]


def test_two_different_operations_in_one_request_are_refused():
    assert refused(b'{"id":"q","op":"send","op":"ack","seq":1,"to":"b","text":"x"}') == (
        "q",
        "bad_request",
        "op",
    )
    assert refused(b'{"id":"q","op":"ack","op":"send","seq":1,"to":"b","text":"x"}') == (
        "q",
        "bad_request",
        "op",
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "value",
    [
        {"op": "z" * 100_000, "id": "q"},
        {"op": {"z" * 100_000: 1}, "id": "q"},
        {"op": "\u0001" * 30_000, "id": "q"},
        {"to": "bob", "text": "x", "kind": "k" * 100_000, "id": "q"},
        {"op": "ack", "seq": "9" * 100_000, "id": "q"},
    ],
)
def test_a_refusal_is_short_whatever_it_quotes(value, form):
    payload = json.dumps(value).encode() if form is Format.JSON else pack(value)
    assert refused(payload, form)[0] == "q"


@pytest.mark.parametrize("item", [b"0", b"{}", b"[]", b'""'])
def test_a_packet_full_of_tiny_requests_is_one_refusal(item):
    payload = b"[" + b",".join([item] * (m.MAX_PACKET_BYTES // (len(item) + 1) - 1)) + b"]"
    assert refused(payload) == (None, "too_large", None)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (b"5e-324", 5e-324),
        (b"1.7976931348623157e308", sys.float_info.max),
        (b"2.2250738585072011e-308", 2.2250738585072011e-308),
        (b"-0.0", -0.0),
        (b"1E5", 100000.0),
        (b"0.1", 0.1),
        (b"1e-400", 0.0),
        (b"9007199254740993", 2**53 + 1),
        (b"9" * 4300, 10**4300 - 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_number_of_a_body_is_kept_as_exactly_as_python_can(number, value):
    (answer,) = check(b'{"to":"bob","body":{"a":' + number + b"}}", Format.JSON)
    assert repr(answer.body["a"]) == repr(value)


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        (
            b'{"ref":"1","as":{"user":5,"device":"x"},"request":{}}',
            "as.user",
            "as.user: Expected `str`, got `int`",
        ),
        (b'{"ref":"1","as":{"user":"a"},"request":{}}', "as.device", "as.device: this field is required"),
        (b'{"ref":"1"', None, "malformed JSON: Input data was truncated"),
    ],
)
def test_any_document_that_msgspec_refuses_is_explained_in_the_same_words(document, field, words):
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(document, type=m.ServiceRequest)
    error = codec.malformed(raised.value)
    assert (type(error), error.field, error.detail) == (BadRequest, field, words)


@pytest.mark.parametrize("form", FORMATS)
def test_requests_are_split_unread_and_their_ids_read_alone(form):
    requests = [{"id": "1", "to": "bob"}, {"op": "x"}, {"id": 5}, {"id": "a\0b"}, {"id": "x" * 65}, 7]
    parts = codec.split_requests(codec.encode(requests, form), form)
    assert isinstance(parts, list)
    assert [codec.request_id_of(part, form) for part in parts] == ["1", None, None, None, None, None]
    assert codec.split_requests(parts[0], form) == [parts[0]]


@pytest.mark.parametrize(
    ("payload", "field", "detail"),
    [
        (
            b'{"op":"quiet.set","hours":{"from":"25:00","to":"07:00","tz":"UTC"}}',
            "hours.from",
            "expected a time of day, such as 22:30",
        ),
        (
            b'{"to":"bob","text":"hi","kind":"A b"}',
            "kind",
            "expected small letters, digits, dots, dashes and underscores",
        ),
    ],
)
def test_a_form_is_told_in_words_and_not_as_a_pattern(payload, field, detail):
    rejected = codec.decode_request(payload)
    assert (rejected.error.field, rejected.error.detail) == (field, f"{field}: {detail}")
