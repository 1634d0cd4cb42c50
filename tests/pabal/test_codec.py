"""What a payload means: every request in both formats, defaults, limits, and refusals under the right id."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pabal import codec
from pabal import messages as m
from pabal.codec import Format, Rejected

FORMATS = [Format.JSON, Format.MSGPACK]
MOST = 2**53 - 1


def pack(value, form):
    return json.dumps(value).encode() if form is Format.JSON else msgspec.msgpack.encode(value)


def read(value, form=Format.JSON):
    """The answer to one request, which is the same alone, by either entrance, and in an array."""
    payload = pack(value, form)
    answer = codec.decode_request(payload, form)
    for again in (codec.decode_requests(payload, form), codec.decode_requests(pack([value], form), form)):
        assert [described(one) for one in again] == [described(answer)]
    return answer


def described(answer):
    if isinstance(answer, Rejected):
        return (answer.re, answer.error.code, answer.error.field, answer.error.detail)
    return answer


def refused(answer):
    assert isinstance(answer, Rejected), answer
    if answer.error.field is not None:
        assert answer.error.detail.startswith(answer.error.field + ": ")
    return (answer.re, answer.error.code, answer.error.field)


# Text that a wire may carry: no lone surrogates, and U+0000 is refused by rule.
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
request_id = st.none() | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64
)
number = st.integers(0, MOST)
positive = st.integers(1, MOST)
json_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
body = st.dictionaries(text, json_value, max_size=4)
content = st.tuples(text, st.none() | body) | st.tuples(st.none(), body)
place = st.tuples(text, st.none()) | st.tuples(st.none(), text)


@st.composite
def sends(draw):
    (said, box), (to, conv) = draw(content), draw(place)
    return m.Send(
        id=draw(request_id),
        to=to,
        conv=conv,
        text=said,
        body=box,
        kind=draw(st.from_regex(r"[a-z0-9._-]{1,32}", fullmatch=True)),
        reply_to=draw(st.none() | positive),
        mentions=draw(st.lists(text, max_size=5)),
    )


requests = (
    sends()
    | st.builds(m.Ack, id=request_id, seq=number)
    | st.builds(m.Read, id=request_id, conv=text, message_id=positive)
    | st.builds(m.Sync, id=request_id, after=number, epoch=st.none() | text, limit=st.integers(1, 500))
    | st.builds(
        m.History,
        id=request_id,
        conv=text,
        before=st.none() | positive,
        after=st.none() | number,
        limit=st.integers(1, 200),
    )
    | st.builds(m.Conversations, id=request_id, after=st.none() | text, limit=st.integers(1, 200))
)


@pytest.mark.parametrize("form", FORMATS)
@given(st.data())
def test_every_request_survives_being_written_and_read(form, data):
    batch = data.draw(st.lists(requests, min_size=1, max_size=4))
    assert codec.decode_requests(codec.encode(batch, form), form) == batch
    for request in batch:
        payload = codec.encode(request, form)
        assert codec.sniff(payload) is form
        assert codec.decode_requests(payload, form) == [request]
        assert codec.decode_request(payload, form) == request


@given(requests)
def test_both_formats_say_the_same(request_):
    as_json = codec.encode(request_)
    assert json.loads(as_json) == msgspec.msgpack.decode(codec.encode(request_, Format.MSGPACK))
    assert codec.to_msgpack(as_json) == codec.encode(request_, Format.MSGPACK)


@pytest.mark.parametrize("form", FORMATS)
def test_the_shortest_message_is_a_receiver_and_a_text(form):
    assert read({"to": "bob", "text": "hi"}, form) == m.Send(
        id=None, to="bob", conv=None, text="hi", body=None, kind="text", reply_to=None, mentions=[]
    )


@pytest.mark.parametrize("form", FORMATS)
def test_a_request_in_full_is_read_in_full(form):
    everything = {
        "op": "send",
        "id": "i" * 64,
        "conv": "alice~bob",
        "text": "hi",
        "body": {"a": [1, 1.5, None, True, {"b": "c"}]},
        "kind": "x.y_z-9",
        "reply_to": 7,
        "mentions": ["bob"],
    }
    assert read(everything, form) == m.Send(
        id="i" * 64,
        conv="alice~bob",
        text="hi",
        body={"a": [1, 1.5, None, True, {"b": "c"}]},
        kind="x.y_z-9",
        reply_to=7,
        mentions=["bob"],
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"op": "ack", "seq": 0}, m.Ack(seq=0)),
        ({"op": "read", "id": "r", "conv": "a~b", "message_id": 1}, m.Read(id="r", conv="a~b", message_id=1)),
        ({"op": "sync", "after": 0}, m.Sync(after=0, epoch=None, limit=500)),
        ({"op": "history", "conv": "a~b"}, m.History(conv="a~b", before=None, after=None, limit=50)),
        ({"op": "conversations"}, m.Conversations(after=None, limit=100)),
        ({"op": "send", "to": "bob", "text": "", "id": None}, m.Send(to="bob", text="")),
        ({"to": "bob", "body": {}}, m.Send(to="bob", body={})),
    ],
)
def test_what_is_left_out_has_its_default(given_, expected, form):
    assert read(given_, form) == expected


@pytest.mark.parametrize("form", FORMATS)
def test_unknown_fields_are_ignored_in_every_operation(form):
    for op, kind in m.OPS.items():
        fields = {
            "send": {"to": "b", "text": "x"},
            "ack": {"seq": 1},
            "sync": {"after": 1},
            "edit": {"conv": "a~b", "target": 1, "text": "y"},
            "recall": {"conv": "a~b", "target": 1},
            "react": {"conv": "a~b", "target": 1, "emoji": "+"},
            "presence": {"users": ["b"]},
            "contacts": {},
            "blocks": {},
            "users": {"q": "bo"},
            "report": {"reason": "spam", "text": "x"},
            "contact.request": {"text": "x"},
            "delete": {"conv": "a~b", "target": 1},
            "typing": {"conv": "a~b", "on": True},
            "quiet.set": {"hours": {"from": "22:00", "to": "07:00", "tz": "Asia/Seoul"}},
        }.get(op, {"conv": "a~b"})
        plain = {"op": op, "message_id": 3, "user": "b", "name": "g", "code": "c", **fields}
        answer = read(plain, form)
        assert isinstance(answer, kind)
        assert read({**plain, "later": {"nobody": ["knows"]}, "x": None}, form) == answer


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_forwarded_needs_no_words_of_its_own_and_those_that_it_has_are_checked(form):
    plain = {"to": "bob", "forward_of": {"conv": "a~b", "message_id": 3}, "expires_in": 5}
    source = m.ForwardOf(conv="a~b", message_id=3)
    assert read(plain, form) == m.Send(to="bob", forward_of=source, expires_in=5)
    for content, detail in (
        ({"text": "a\0b"}, "text: must not contain U+0000"),
        ({"text": "x" * 32_769}, "text: at most 32768 bytes"),
        ({"body": {"a": "x" * 70_000}}, "body: at most 65536 bytes"),
    ):
        assert read({**plain, **content}, form).error.detail == detail


TOO_LONG = "x" * 65
OK = {"to": "bob", "text": "hi", "id": "q"}
SYNC = {"op": "sync", "after": 5, "id": "q"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("good", "change", "field"),
    [
        (OK, {"to": None}, "to"),
        (OK, {"conv": "alice~bob"}, "to"),
        (OK, {"to": 5}, "to"),
        (OK, {"conv": [1]}, "conv"),
        (OK, {"text": None}, "text"),
        (OK, {"text": 7}, "text"),
        (OK, {"text": "a\0b"}, "text"),
        (OK, {"body": []}, "body"),
        (OK, {"body": "x"}, "body"),
        (OK, {"kind": ""}, "kind"),
        (OK, {"kind": "k" * 33}, "kind"),
        (OK, {"kind": "Text"}, "kind"),
        (OK, {"kind": "text\n"}, "kind"),
        (OK, {"kind": "a b"}, "kind"),
        (OK, {"kind": None}, "kind"),
        (OK, {"reply_to": 0}, "reply_to"),
        (OK, {"reply_to": "1"}, "reply_to"),
        (OK, {"reply_to": MOST + 1}, "reply_to"),
        (OK, {"mentions": "bob"}, "mentions"),
        (OK, {"mentions": None}, "mentions"),
        (OK, {"mentions": ["bob", 5]}, "mentions[1]"),
        (OK, {"mentions": ["x"] * 101}, "mentions"),
        (OK, {"op": "shout"}, "op"),
        (OK, {"op": ""}, "op"),
        (OK, {"op": "Send"}, "op"),
        (OK, {"op": None}, "op"),
        (OK, {"op": 5}, "op"),
        (OK, {"op": ["send"]}, "op"),
        (SYNC, {"after": -1}, "after"),
        (SYNC, {"after": MOST + 1}, "after"),
        (SYNC, {"after": 1.5}, "after"),
        (SYNC, {"after": True}, "after"),
        (SYNC, {"after": None}, "after"),
        (SYNC, {"limit": 0}, "limit"),
        (SYNC, {"limit": 501}, "limit"),
        (SYNC, {"epoch": 1}, "epoch"),
        ({"op": "history", "conv": "a~b", "id": "q"}, {"limit": 201}, "limit"),
        ({"op": "history", "conv": "a~b", "id": "q"}, {"before": 0}, "before"),
        ({"op": "conversations", "id": "q"}, {"limit": 201}, "limit"),
        ({"op": "conversations", "id": "q"}, {"after": 3}, "after"),
        ({"op": "ack", "seq": 1, "id": "q"}, {"seq": -1}, "seq"),
        ({"op": "read", "conv": "a~b", "message_id": 1, "id": "q"}, {"message_id": 0}, "message_id"),
    ],
)
def test_one_wrong_field_is_refused_by_name_under_the_id_of_the_request(good, change, field, form):
    assert not isinstance(read(good, form), Rejected)
    assert refused(read({**good, **change}, form)) == ("q", "bad_request", field)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("good", "field"),
    [
        (OK, "to"),
        (OK, "text"),
        (SYNC, "after"),
        ({"op": "ack", "id": "q", "seq": 1}, "seq"),
        ({"op": "read", "id": "q", "conv": "a~b", "message_id": 1}, "conv"),
        ({"op": "read", "id": "q", "conv": "a~b", "message_id": 1}, "message_id"),
        ({"op": "history", "id": "q", "conv": "a~b"}, "conv"),
    ],
)
def test_a_missing_field_is_refused_by_name(good, field, form):
    assert not isinstance(read(good, form), Rejected)
    short = {name: value for name, value in good.items() if name != field}
    assert refused(read(short, form)) == ("q", "bad_request", field)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("good", "field", "most", "first_refused"),
    [
        (SYNC, "after", MOST, MOST + 1),
        (SYNC, "limit", 500, 501),
        ({"op": "history", "conv": "a~b"}, "limit", 200, 201),
        ({"op": "conversations"}, "limit", 200, 201),
        (OK, "kind", "k" * 32, "k" * 33),
        (OK, "mentions", ["x"] * 100, ["x"] * 101),
        (OK, "id", "파" * 64, "파" * 65),
    ],
)
def test_a_limit_is_kept_to_the_bound_and_not_beyond(good, field, most, first_refused, form):
    assert getattr(read({**good, field: most}, form), field) == most
    assert refused(read({**good, field: first_refused}, form))[1:] == ("bad_request", field)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bad", ["", TOO_LONG, "a\0", "\0", 5, True, 1.5, ["a"], {"a": "b"}])
@pytest.mark.parametrize(
    "good", [OK, SYNC, {**SYNC, "after": -1}, {**OK, "text": "\0"}, {"op": "shout", "id": "q"}]
)
def test_an_id_that_no_request_may_have_is_not_answered_under(bad, good, form):
    assert getattr(read(good, form), "re", "q") == "q"
    answer = read({**good, "id": bad}, form)
    assert refused(answer)[:2] == (None, "bad_request")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bad", ["", TOO_LONG, "a\0", 5])
def test_the_bad_id_itself_is_blamed(bad, form):
    assert read({**OK, "id": "ok"}, form).id == "ok"
    assert refused(read({**OK, "id": bad}, form)) == (None, "bad_request", "id")
    assert refused(read({**SYNC, "id": bad}, form)) == (None, "bad_request", "id")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("letter", ["x", "é", "한", "😀"])
def test_a_text_has_at_most_32_kib_of_utf_8_however_many_letters_those_are(letter, form):
    size = len(letter.encode())
    fits = letter * (32_768 // size) + "x" * (32_768 % size)
    assert read({**OK, "text": fits}, form).text == fits
    assert refused(read({**OK, "text": fits + "x"}, form)) == ("q", "too_large", "text")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("letter", ["x", "한"])
def test_a_body_has_at_most_64_kib_of_json(letter, form):
    room = 65_536 - len(b'{"a":""}')
    fits = letter * (room // len(letter.encode())) + "x" * (room % len(letter.encode()))
    assert read({**OK, "body": {"a": fits}}, form).body == {"a": fits}
    assert refused(read({**OK, "body": {"a": fits + "x"}}, form)) == ("q", "too_large", "body")


def nested(levels, box, value=1):
    for _ in range(levels):
        value = [value] if box == "[" else {"a": value}
    return value


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("box", ["[", "{"])
def test_a_body_is_at_most_200_levels_deep(box, form):
    assert read({**OK, "body": {"a": nested(199, box)}}, form).body == {"a": nested(199, box)}
    answer = read({**OK, "body": {"a": nested(200, box)}}, form)
    assert refused(answer) == ("q", "bad_request", "body")
    assert "nested too deeply" in answer.error.detail


@pytest.mark.parametrize("form", FORMATS)
def test_a_wide_body_is_not_taken_for_a_deep_one(form):
    wide = {"a": [[], {}, [[]]] * 100, "b": '[{\\"' * 100, '[[{\\"': "]"}
    assert read({**OK, "body": wide}, form).body == wide
    deep_too = {**wide, "c": nested(200, "[")}
    assert refused(read({**OK, "body": deep_too}, form)) == ("q", "bad_request", "body")


def test_a_body_that_was_taken_can_be_written_again_from_any_depth_of_the_stack():
    too_long_for_messagepack = 10**30
    deepest = read({**OK, "body": {"a": nested(199, "{", too_long_for_messagepack)}})

    def from_below(frames):
        if frames:
            return from_below(frames - 1)
        return codec.encode([[deepest]], Format.MSGPACK)

    assert from_below(300)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_an_array_is_done_in_order(count, form):
    batch = [{"to": "bob", "text": str(place), "id": str(place)} for place in range(count)]
    answers = codec.decode_requests(pack(batch, form), form)
    assert [(answer.id, answer.text) for answer in answers] == [(one["id"], one["text"]) for one in batch]


@pytest.mark.parametrize("form", FORMATS)
def test_an_array_of_101_is_too_large_as_a_whole(form):
    assert len(codec.decode_requests(pack([OK] * 100, form), form)) == 100
    (answer,) = codec.decode_requests(pack([OK] * 101, form), form)
    assert refused(answer) == (None, "too_large", None)


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_array_asks_for_nothing_and_is_refused(form):
    (answer,) = codec.decode_requests(pack([], form), form)
    assert refused(answer) == (None, "bad_request", None)
    assert "empty" in answer.error.detail


@pytest.mark.parametrize("form", FORMATS)
def test_each_of_an_array_is_answered_for_itself(form):
    batch = [OK, 5, [OK], {**OK, "id": "w", "to": 3}, {"op": "ack", "seq": 1}, None]
    answers = codec.decode_requests(pack(batch, form), form)
    assert answers[0] == m.Send(id="q", to="bob", text="hi")
    assert refused(answers[1]) == refused(answers[2]) == refused(answers[5]) == (None, "bad_request", None)
    assert refused(answers[3]) == ("w", "bad_request", "to")
    assert answers[4] == m.Ack(seq=1)


@pytest.mark.parametrize("form", FORMATS)
def test_where_one_request_is_expected_an_array_is_refused(form):
    assert codec.decode_request(pack(OK, form), form) == m.Send(id="q", to="bob", text="hi")
    assert refused(codec.decode_request(pack([OK], form), form)) == (None, "bad_request", None)


@pytest.mark.parametrize("blank", [b"", b" ", b"\t\r\n "])
def test_white_space_around_json_is_no_matter(blank):
    single, batch = pack(OK, Format.JSON), pack([OK, OK], Format.JSON)
    assert codec.decode_requests(blank + single + blank) == [m.Send(id="q", to="bob", text="hi")]
    assert len(codec.decode_requests(blank + batch + blank)) == 2


def test_the_first_byte_tells_the_formats_apart():
    for first in range(256):
        is_messagepack = 0x80 <= first <= 0x9F or first in {0xDC, 0xDD, 0xDE, 0xDF}
        assert (codec.sniff(bytes([first, 1, 2])) is Format.MSGPACK) is is_messagepack
    assert codec.sniff(b"") is Format.JSON


@pytest.mark.parametrize("count", [15, 16, 70_000])
def test_every_way_in_which_messagepack_begins_an_array_or_a_map_is_known(count):
    assert codec.sniff(msgspec.msgpack.encode([0] * count)) is Format.MSGPACK
    assert codec.sniff(msgspec.msgpack.encode({str(key): 0 for key in range(count)})) is Format.MSGPACK
    padded = {**OK, **{f"x{key}": 0 for key in range(count)}}
    assert codec.decode_requests(pack(padded, Format.MSGPACK), Format.MSGPACK) == [
        m.Send(id="q", to="bob", text="hi")
    ]
    (answer,) = codec.decode_requests(pack([0] * (count + 100), Format.MSGPACK), Format.MSGPACK)
    assert refused(answer) == (None, "too_large", None)
