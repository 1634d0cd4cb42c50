"""Replies and updates as bytes, and the canonical form that a digest is taken of."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import codec, errors
from pabal import messages as m
from pabal.codec import Format

text = st.text(st.characters(codec="utf-8"), max_size=20)
scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
document = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
positive = st.integers(1, 2**53 - 1)

messages = st.builds(
    m.MessageUpdate,
    ts=positive,
    conv=text,
    message_id=positive,
    from_=text,
    kind=text,
    text=st.none() | text,
    body=st.just(msgspec.UNSET)
    | st.dictionaries(text, scalar, max_size=3).map(lambda d: codec.raw(codec.encode(d))),
    reply_to=st.none() | positive,
    mentions=st.lists(text, max_size=3),
)
updates = messages | st.builds(m.ReadUpdate, ts=positive, conv=text, message_id=positive)


@given(text, positive, updates)
def test_an_update_begins_with_its_seq_and_is_otherwise_the_update(epoch, seq, update):
    payload = codec.with_seq(seq, codec.update_tail(epoch, update))
    whole = {"seq": seq, "epoch": epoch, **json.loads(codec.encode(update))}
    assert json.loads(payload) == whole
    assert list(json.loads(payload)) == list(whole)
    assert list(whole)[:3] == ["seq", "epoch", "type"]
    assert payload.startswith(b'{"seq":%d,' % seq)


@given(text, text, st.none() | text, messages)
def test_the_senders_own_devices_are_told_the_request_and_nobody_else_is(epoch, device, request_id, update):
    tail = codec.update_tail(epoch, update)
    own = codec.with_sender_fields(tail, device, request_id)
    in_one_go = codec.update_tail(epoch, msgspec.structs.replace(update, id=request_id, device=device))
    assert codec.with_seq(9, own) == codec.with_seq(9, in_one_go)
    assert not {"id", "device"} & json.loads(codec.with_seq(9, tail)).keys()


def test_an_update_reads_as_the_contract_shows_it():
    update = m.MessageUpdate(
        ts=5, conv="a~b", message_id=3, from_="a", kind="text", text="hi", body=codec.raw(b'{"x":1}')
    )
    assert codec.with_seq(12, codec.update_tail("e", update)) == (
        b'{"seq":12,"epoch":"e","type":"message","ts":5,"conv":"a~b","message_id":3,"from":"a","kind":"text",'
        b'"text":"hi","body":{"x":1}}'
    )


def bounded(value):
    """What a reader sees whose integers have 64 bits."""
    match value:
        case dict():
            return {key: bounded(item) for key, item in value.items()}
        case list():
            return [bounded(item) for item in value]
        case bool():
            return value
        case int() if value < -(2**63) or value > 2**64 - 1:
            return float(value)
        case _:
            return value


@given(document)
def test_messagepack_says_the_same_document(value):
    as_json = codec.encode(value)
    assert json.loads(as_json) == value
    packed = msgspec.msgpack.decode(codec.to_msgpack(as_json))
    assert packed == bounded(value)
    assert codec.encode(value, Format.MSGPACK) == codec.to_msgpack(as_json)


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, float(-(2**63))),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_integer_beyond_64_bits_does_not_keep_a_reply_from_a_messagepack_device(number, seen):
    packed = msgspec.msgpack.decode(codec.encode({"a": [number, {"b": True}]}, Format.MSGPACK))
    assert packed == {"a": [seen, {"b": True}]}
    assert type(packed["a"][0]) is type(seen)
    assert packed["a"][1]["b"] is True


@given(st.dictionaries(text, document, max_size=5), st.randoms(use_true_random=False))
def test_the_canonical_form_does_not_depend_on_the_order_of_keys(value, random):
    def shuffled(inner):
        if isinstance(inner, list):
            return [shuffled(item) for item in inner]
        if not isinstance(inner, dict):
            return inner
        keys = list(inner)
        random.shuffle(keys)
        return {key: shuffled(inner[key]) for key in keys}

    assert codec.canonical(["send", value]) == codec.canonical(["send", shuffled(value)])


@given(st.lists(document, max_size=3), st.lists(document, max_size=3))
def test_different_content_has_a_different_canonical_form(one, other):
    assert (codec.canonical(one) == codec.canonical(other)) == (repr(in_order(one)) == repr(in_order(other)))


def in_order(value):
    if isinstance(value, list):
        return [in_order(item) for item in value]
    if isinstance(value, dict):
        return ("object", sorted((key, in_order(item)) for key, item in value.items()))
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "b"], ["b", "a"]),
        (["ab", ""], ["a", "b"]),
        ([None], ["null"]),
        ([1], ["1"]),
        ([1], [True]),
        ([1], [1.0]),
        ([[]], [{}]),
        ([None, "x"], ["x", None]),
        ([{"a": 1}], [{"a": 2}]),
        ([{"a": None}], [{}]),
    ],
)
def test_what_differs_only_a_little_still_differs(one, other):
    assert codec.canonical(one) != codec.canonical(other)


@pytest.mark.parametrize("code", errors.REFUSALS)
def test_a_refusal_is_told_with_code_and_detail(code):
    told = json.loads(codec.encode(codec.refusal("q", code("because"))))
    assert told == {"re": "q", "ok": False, "error": code.code, "detail": "because"}


def test_a_refusal_says_which_field_and_when_to_try_again_and_null_where_there_was_no_id():
    error = errors.Unavailable("later", field="x", retry_after=2)
    told = json.loads(codec.encode(codec.refusal(None, error)))
    assert told == {"re": None, "ok": False, "error": "unavailable", "detail": "x: later", "retry_after": 2}
    assert list(told)[:2] == ["re", "ok"]


def test_a_room_gets_an_entry_without_seq_and_epoch():
    update = m.MessageUpdate(ts=1, conv="gaaaaaaaaaaaa", message_id=7, from_="alice", kind="text", text="hi")
    assert json.loads(codec.room_entry(update)) == {
        "type": "message", "ts": 1, "conv": "gaaaaaaaaaaaa", "message_id": 7, "from": "alice", "kind": "text",
        "text": "hi",
    }  # fmt: skip
