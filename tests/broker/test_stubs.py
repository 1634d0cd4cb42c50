"""What a client is told in the place of a reply that its Maximum Packet Size does not let through."""

import msgspec
import pytest

from broker.mqtt.codec import encode
from broker.mqtt.properties import Properties
from broker.stubs import shorter_reply, stub
from pabal import codec

DOWN = "pabal/v1/down/alice/phone"


def update(seq: int, text: str = "hi") -> dict:
    return {"seq": seq, "epoch": "e", "type": "message", "conv": "alice~bob", "message_id": seq, "text": text}


def page(*items: dict, **fields: object) -> bytes:
    return msgspec.json.encode(
        {"re": "1", "ok": True, "epoch": "e", "head": 9, "items": items, "more": False, "rooms": {}, **fields}
    )


@pytest.fixture(params=[False, True], ids=["json", "msgpack"])
def form(request):
    """What turns a JSON reply into the form that the device speaks, and what reads it again."""
    if request.param:
        return codec.to_msgpack, msgspec.msgpack.decode
    return bytes, msgspec.json.decode


def test_a_page_of_sync_ends_where_no_more_fits(form):
    as_sent, read = form
    whole = as_sent(page(*(update(seq) for seq in range(1, 10))))
    room = len(whole) - 1
    shorter = shorter_reply(DOWN, whole, room)
    assert shorter is not None
    assert len(shorter) <= room
    told = read(shorter)
    assert told == {**read(whole), "items": [update(seq) for seq in range(1, 9)], "more": True}


def test_an_update_in_a_page_that_would_never_fit_is_a_stub_there(form):
    as_sent, read = form
    whole = as_sent(page(update(1), update(2, "x" * 1000), update(3)))
    shorter = shorter_reply(DOWN, whole, 500)
    assert shorter is not None
    assert len(shorter) <= 500
    cut = {name: value for name, value in update(2).items() if name != "text"} | {"truncated": True}
    assert read(shorter)["items"] == [update(1), cut, update(3)]
    assert read(shorter)["more"] is False


def test_every_size_is_kept_to_and_brings_a_device_on(form):
    as_sent, read = form
    whole = as_sent(page(*(update(seq, "x" * (seq * 37)) for seq in range(1, 30)), more=True))
    for room in range(220, len(whole)):
        shorter = shorter_reply(DOWN, whole, room)
        assert shorter is not None
        assert len(shorter) <= room
        told = read(shorter)
        assert [one["seq"] for one in told["items"]] == list(range(1, len(told["items"]) + 1)) != []
        assert told["more"] is True


@pytest.mark.parametrize("listed", ["conversations", "contacts", "blocks", "users", "members", "reports"])
def test_what_is_listed_from_its_beginning_on_ends_where_no_more_fits(form, listed):
    as_sent, read = form
    reset = {"re": "1", "ok": True, "reset": True, "head": 9}
    whole = as_sent(msgspec.json.encode({**reset, listed: [{"n": n} for n in range(50)], "more": False}))
    room = len(whole) - 50
    shorter = shorter_reply(DOWN, whole, room)
    assert shorter is not None
    assert len(shorter) <= room
    told = read(shorter)
    assert told == {**reset, listed: [{"n": n} for n in range(len(told[listed]))], "more": True}
    assert 0 < len(told[listed]) < 50


@pytest.mark.parametrize(
    "reply",
    [
        page(update(1, "x" * 500), rooms={f"g{n}": n for n in range(100)}),
        msgspec.json.encode({"re": "1", "ok": True, "conv": "alice~bob", "items": [{"text": "x" * 900}]}),
        msgspec.json.encode({"re": "1", "ok": True, "conversations": ["x" * 900], "more": False}),
        msgspec.json.encode({"re": "1", "ok": True, "presence": ["x"] * 900}),
    ],
    ids=["sync", "history", "a large conversation", "presence"],
)
def test_what_cannot_be_cut_is_refused_and_says_what_to_do(form, reply):
    as_sent, read = form
    shorter = shorter_reply(DOWN, as_sent(reply), 300)
    assert shorter is not None
    told = read(shorter)
    assert (told["re"], told["ok"], told["error"]) == ("1", False, "too_large")
    assert told["detail"].startswith("limit: ")
    assert shorter_reply(DOWN, as_sent(reply), 60) is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (DOWN, b'{"re":"1","ok":true,"conv":"alice~bob","message_id":1,"ts":1,"dup":false}'),
        (DOWN, b'{"type":"kicked","reason":"logout"}'),
        (DOWN, b"not of ours"),
        (DOWN, b'{"items":1,"rooms":{},"more":true}'),
        ("pabal/v1/room/gaaaaaaaaaaaa", page(update(1))),
    ],
    ids=["committed", "kicked", "unreadable", "no page", "no reply"],
)
def test_what_has_to_be_said_as_it_is_has_nothing_shorter(topic, payload):
    assert shorter_reply(topic, payload, 1000) is None


def test_what_is_no_update_is_its_own_stub():
    assert stub(b"[1]") == b"[1]"


@pytest.mark.parametrize("alias", [0, 1])
async def test_a_device_that_takes_little_is_sent_what_fits(world, alias):
    await world.start()
    said = Properties(maximum_packet_size=400, topic_alias_maximum=alias)
    phone = await world.device("alice:phone", level=5, properties=said)
    await phone.subscribe((DOWN, 1))
    whole = page(*(update(seq, "x" * 50) for seq in range(1, 10)))
    for _ in range(2):
        world.broker.publish(DOWN, whole, 1)
    for one in await phone.publishes(2):
        told = msgspec.json.decode(one.payload)
        assert [item["seq"] for item in told["items"]] == [1, 2]
        assert told["more"] is True
        assert len(encode(one, 5)) <= 400
    world.broker.publish(DOWN, b'{"re":"2","ok":true,"x":"' + b"y" * 400 + b'"}', 1)
    world.broker.publish(DOWN, b'{"re":"3"}', 1)
    assert [one.payload for one in await phone.publishes(1)] == [b'{"re":"3"}']
    assert world.broker.metrics.dropped_too_large == 1
