"""Two plain MQTT clients on a real server: one writes and reads, the other one sees it on `live`."""

import pytest
from people import Person, Plain, wait_for

pytestmark = pytest.mark.functional

ALICE, BOB = "pabal/v1/live/alice", "pabal/v1/live/bob"


@pytest.fixture
def both(server):
    """Alice and Bob, each with a phone that follows inbox and live."""
    opened = []
    for name in ("alice", "bob"):
        person = Person(server.api, name)
        device = Plain(server.mqtt, f"{name}:phone", person.session["access_token"]).connect()
        granted = device.subscribe(f"pabal/v1/inbox/{name}", f"pabal/v1/live/{name}")
        assert granted == [1, 1]
        opened.append((person, device))
    yield opened
    for person, device in opened:
        device.close()
        person.close()


def receipts(device: Plain, topic: str) -> list[dict]:
    return [item for item in device.on(topic) if item["type"] == "receipt"]


def test_a_message_is_seen_to_be_written_delivered_and_read(both):
    (alice, alices), (bob, bobs) = both
    alices.publish("pabal/v1/up/alice/phone", {"op": "typing", "conv": "alice~bob", "on": True})
    wait_for(lambda: bobs.on(BOB), "typing")
    seen = bobs.on(BOB)[0]
    assert seen.pop("ts") > 0
    assert seen == {"type": "typing", "conv": "alice~bob", "user": "alice", "on": True}
    assert alice.send("bob", "hi").status_code == 201
    wait_for(lambda: receipts(alices, ALICE), "the receipt that follows from Bob's PUBACK")
    assert receipts(alices, ALICE)[0].items() >= {"user": "bob", "delivered": 1, "read": 0}.items()
    assert bob.http.post("/conversations/@alice/read", json={"message_id": 1}).status_code == 204
    wait_for(lambda: receipts(alices, ALICE)[-1]["read"] == 1, "the receipt of reading")
    page = alice.http.get("/conversations/@bob/messages").json()
    assert {"user": "bob", "delivered": 1, "read": 1} in page["receipts"]
    assert bob.http.post("/conversations/@alice/typing", json={"on": False}).status_code == 204
    wait_for(lambda: [item for item in alices.on(ALICE) if item["type"] == "typing"], "the end of typing")
    assert not receipts(bobs, BOB)
