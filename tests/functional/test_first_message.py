"""The first message goes the whole way: real server, real sockets."""

import json
import threading
import time

import msgspec
import pytest
from people import Person, Plain, wait_for

pytestmark = pytest.mark.functional

INBOX = "pabal/v1/inbox/{}"
# They count nothing, and leave the server as it was; all others have one of their own.
ON_THE_SAME_SERVER = {
    "test_foreign_topics_cannot_be_subscribed_to",
    "test_a_credential_opens_only_its_own_client_id",
    "test_malformed_payloads_are_answered_and_the_connection_stays",
    "test_an_oversize_packet_closes_its_connection_and_no_other",
}


@pytest.fixture
def server(request):
    shared = request.node.originalname in ON_THE_SAME_SERVER
    return request.getfixturevalue("standing_server" if shared else "own_server")


@pytest.fixture
def person(server):
    made = []

    def make(user: str) -> Person:
        made.append(Person(server.api, user))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def plain(server):
    made = []

    def make(
        who: Person, *, device: str | None = None, connect: bool = True, ws: bool = False, **options: object
    ) -> Plain:
        client_id = f"{who.user}:{device or who.device}"
        port = server.ws if ws else server.mqtt
        options.setdefault("password", who.session["access_token"])
        made.append(Plain(port, client_id, transport="websockets" if ws else "tcp", **options))
        return made[-1].connect() if connect else made[-1]

    yield make
    for client in made:
        client.close()


def up(who: Person, device: str | None = None) -> str:
    return f"pabal/v1/up/{who.user}/{device or who.device}"


def down(who: Person) -> str:
    return f"pabal/v1/down/{who.user}/{who.device}"


def test_a_message_reaches_somebody_who_is_online(person, plain):
    alice, bob = person("alice"), person("bob")
    sender, receiver = plain(alice), plain(bob)
    assert sender.subscribe(down(alice), INBOX.format("alice")) == [1, 1]
    assert receiver.subscribe(INBOX.format("bob")) == [1]
    sender.publish(up(alice), {"id": "1", "to": "bob", "text": "hi"})
    wait_for(lambda: receiver.updates("bob") and sender.on(down(alice)))
    [reply] = sender.on(down(alice))
    assert (reply["re"], reply["ok"], reply["conv"], reply["message_id"]) == ("1", True, "alice~bob", 1)
    [update] = receiver.updates("bob")
    assert (update["seq"], update["type"], update["from"], update["text"]) == (1, "message", "alice", "hi")
    [topic_message] = receiver.raw
    assert (topic_message.qos, topic_message.retain) == (1, False)
    wait_for(lambda: sender.updates("alice"), "the sender's own copy")
    assert sender.updates("alice")[0]["id"] == "1"


def test_what_is_sent_to_a_persistent_session_survives_a_kill_of_the_server(server, person, plain):
    alice, bob = person("alice"), person("bob")
    receiver = plain(bob, clean=False)
    assert receiver.session_present is False
    receiver.subscribe(INBOX.format("bob"))
    sender = plain(alice)
    sender.publish(up(alice), {"to": "bob", "text": "live"})
    wait_for(lambda: receiver.seqs("bob") == [1])
    receiver.close()
    for number in range(20):
        sender.publish(up(alice), {"to": "bob", "text": f"while away {number}"})
    server.kill()
    server.start()
    again = plain(bob, clean=False)
    assert again.session_present is True
    wait_for(lambda: again.seqs("bob")[-1:] == [21])
    texts = [update["text"] for update in again.updates("bob") if update["seq"] > 1]
    assert texts == [f"while away {number}" for number in range(20)]
    plain(alice).publish(up(alice), {"to": "bob", "text": "after"})
    wait_for(lambda: again.updates("bob")[-1]["text"] == "after")
    assert again.seqs("bob")[-21:] == list(range(2, 23))


def test_a_session_killed_with_the_server_while_connected_goes_on_where_it_acknowledged(
    server, person, plain
):
    alice, bob = person("alice"), person("bob")
    receiver = plain(bob, clean=False)
    receiver.subscribe(INBOX.format("bob"))
    sender = plain(alice)
    for number in range(5):
        sender.publish(up(alice), {"to": "bob", "text": f"{number}"})
    wait_for(lambda: receiver.seqs("bob") == [1, 2, 3, 4, 5])
    server.kill()
    wait_for(receiver.closed.is_set)
    server.start()
    again = plain(bob, clean=False)
    plain(alice).publish(up(alice), {"to": "bob", "text": "next"})
    wait_for(lambda: again.seqs("bob")[-1:] == [6])
    seqs = again.seqs("bob")
    assert seqs == list(range(seqs[0], 7)), (
        "what was not known to be acknowledged comes again, in order, once"
    )


def test_two_devices_end_with_the_same_inbox_though_one_is_late(person, plain):
    alice, bob = person("alice"), person("bob")
    early = plain(bob)
    early.subscribe(INBOX.format("bob"))
    late_secret = bob.secret("tablet")
    late = plain(bob, device="tablet", password=late_secret, clean=False)
    late.subscribe(INBOX.format("bob"))
    late.close()
    sender = plain(alice)
    for number in range(10):
        sender.publish(up(alice), {"id": f"{number}", "to": "bob", "text": f"{number}"})
    wait_for(lambda: len(early.updates("bob")) == 10)
    back = plain(bob, device="tablet", password=late_secret, clean=False)
    wait_for(lambda: len(back.updates("bob")) == 10)
    assert back.updates("bob") == early.updates("bob") == bob.inbox()


def test_the_same_id_three_times_is_stored_and_delivered_once(person, plain):
    alice, bob = person("alice"), person("bob")
    receiver, sender = plain(bob), plain(alice)
    receiver.subscribe(INBOX.format("bob"))
    sender.subscribe(down(alice))
    for _ in range(3):
        sender.publish(up(alice), {"id": "same", "to": "bob", "text": "once"})
    sender.publish(up(alice), {"id": "other", "to": "bob", "text": "two"})
    wait_for(lambda: len(sender.on(down(alice))) == 4 and len(receiver.updates("bob")) >= 2)
    replies = [(reply["re"], reply["message_id"], reply["dup"]) for reply in sender.on(down(alice))]
    assert replies == [("same", 1, False), ("same", 1, True), ("same", 1, True), ("other", 2, False)]
    assert [update["text"] for update in receiver.updates("bob")] == ["once", "two"]
    history = bob.http.get("/conversations/alice~bob/messages").json()
    assert [item["text"] for item in history["items"]] == ["once", "two"]


def test_polling_gets_what_came_since_the_cursor(person):
    alice, bob = person("alice"), person("bob")
    assert bob.http.get("/sync", params={"after": 0}).json()["items"] == []
    first = alice.send("bob", "one", id="1")
    assert (first.status_code, first.json()["message_id"]) == (201, 1)
    again = alice.send("bob", "one", id="1")
    assert (again.status_code, again.json()["dup"]) == (200, True)
    alice.send("bob", "two")
    page = bob.http.get("/sync", params={"after": 1}).json()
    assert [(item["seq"], item["text"]) for item in page["items"]] == [(2, "two")]
    assert (page["head"], page["more"]) == (2, False)


def test_long_polling_is_answered_soon_after_something_is_there(person):
    alice, bob = person("alice"), person("bob")
    answers = []

    def wait() -> None:
        began = time.monotonic()
        answers.append(
            (bob.http.get("/sync", params={"after": 0, "wait": 30}).json(), time.monotonic() - began)
        )

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.7)
    assert waiting.is_alive(), "there is nothing yet to be answered with"
    alice.send("bob", "wake up")
    waiting.join(60)
    [(page, took)] = answers
    assert [item["text"] for item in page["items"]] == ["wake up"]
    assert took < 30, "before its 30 s were over"


def test_long_polling_ends_empty_when_nothing_comes(person):
    bob = person("bob")
    page = bob.http.get("/sync", params={"after": 0, "wait": 1}).json()
    assert (page["items"], page["more"]) == ([], False)


def test_a_websocket_client_sends_and_receives_like_any_other(person, plain):
    alice, bob = person("alice"), person("bob")
    over_ws, over_tcp = plain(alice, ws=True), plain(bob)
    over_ws.subscribe(INBOX.format("alice"))
    over_tcp.subscribe(INBOX.format("bob"))
    over_ws.publish(up(alice), {"to": "bob", "text": "from the browser"})
    over_tcp.publish(up(bob), {"to": "alice", "text": "x" * 30_000})
    wait_for(lambda: over_tcp.updates("bob") and len(over_ws.updates("alice")) == 2)
    assert over_tcp.updates("bob")[0]["text"] == "from the browser"
    assert over_ws.updates("alice")[1]["text"] == "x" * 30_000


@pytest.mark.parametrize(
    "topic",
    [
        "pabal/v1/inbox/alice", "pabal/v1/down/alice/phone", "pabal/v1/down/bob/other", "pabal/v1/up/alice/phone",
        "pabal/v1/status/alice/phone", "pabal/v1/presence/alice", "pabal/v1/room/gaaaaaaaaaaaa", "pabal/v1/svc/webapi/down",
        "pabal/v1/inbox/+", "pabal/v1/inbox/bob/#", "#", "+/#", "$SYS/#", "pabal/v1/+/bob", "anything",
    ],
)  # fmt: skip
def test_foreign_topics_cannot_be_subscribed_to(person, plain, topic):
    person("alice")
    client = plain(person("bob"))
    assert client.subscribe(topic) == [0x80]
    assert client.subscribe(INBOX.format("bob")) == [1]


def test_a_publish_on_a_foreign_topic_is_acknowledged_and_dropped(person, plain):
    alice, bob = person("alice"), person("bob")
    victim, mallory = plain(alice), plain(bob)
    victim.subscribe(INBOX.format("alice"), down(alice), "pabal/v1/live/alice")
    for topic in (INBOX.format("alice"), down(alice), "pabal/v1/live/alice", up(alice), "somewhere/else"):
        mallory.publish(topic, {"to": "bob", "text": "forged"})
    mallory.publish(up(bob), {"to": "alice", "text": "honest"})
    wait_for(lambda: victim.updates("alice"))
    assert [item.get("text") for _topic, item in victim.messages] == ["honest"]
    assert bob.http.get("/conversations").json()["conversations"][0]["head"] == 1


@pytest.mark.parametrize(
    ("client_id", "username", "password"),
    [
        ("bob:phone", "bob", "wrong"),
        ("alice:phone", "bob", None),
        ("bob:tablet", "bob", None),
        ("alice:phone", "alice", None),
        ("nonsense", "bob", None),
        ("svc:webapi", "svc:webapi", "guess"),
    ],
)
def test_a_credential_opens_only_its_own_client_id(server, person, plain, client_id, username, password):
    person("alice")
    bob = person("bob")
    token = bob.session["access_token"]
    plain(bob)  # the same credential, rightly used, is let in and stays
    mallory = Plain(server.mqtt, client_id, password or token, username=username)
    mallory.connect(expect=None)
    assert mallory.connack in {0x86, 0x87, 4, 5, 128 + 4, 128 + 5}
    mallory.close()


def test_a_sensor_that_may_only_send_cannot_read(person, plain):
    alice, bob = person("alice"), person("bob")
    sensor = plain(alice, device="sensor", password=alice.secret("sensor", ["send"]))
    assert sensor.subscribe(INBOX.format("alice")) == [0x80]
    assert sensor.subscribe("pabal/v1/down/alice/sensor") == [1]
    sensor.publish(up(alice, "sensor"), {"to": "bob", "body": {"celsius": 21.5}})
    wait_for(bob.inbox)
    assert [item["body"] for item in bob.inbox()] == [{"celsius": 21.5}]


def test_a_display_that_may_only_receive_cannot_send(person, plain):
    alice, bob = person("alice"), person("bob")
    secret = alice.secret("display", ["receive"])
    display = plain(alice, device="display", password=secret)
    assert display.subscribe(INBOX.format("alice"), "pabal/v1/down/alice/display") == [1, 1]
    display.publish(up(alice, "display"), {"id": "1", "to": "bob", "text": "x"})
    wait_for(lambda: display.on("pabal/v1/down/alice/display"))
    assert display.on("pabal/v1/down/alice/display")[0]["error"] == "forbidden"
    refused = alice.http.post(
        "/conversations/@bob/messages", json={"text": "x"}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert bob.inbox() == []


def test_logging_out_closes_the_connection_and_says_why(person, plain):
    alice = person("alice")
    client = plain(alice)
    client.subscribe(down(alice))
    alice.http.delete("/sessions/current")
    wait_for(client.closed.is_set, "the connection to be closed")
    assert client.on(down(alice)) == [{"type": "kicked", "reason": "logout"}]
    refused = Plain(client.port, "alice:phone", alice.session["access_token"])
    refused.connect(expect=None)
    assert refused.connack != 0
    refused.close()


def test_malformed_payloads_are_answered_and_the_connection_stays(person, plain):
    alice = person("alice")
    client = plain(alice)
    client.subscribe(down(alice))
    for payload in (b"", b"{", b"\xff\xfe", b'{"op":"dance","id":"d"}', b'{"id":"s","to":"alice"}'):
        client.publish(up(alice), payload)
    client.publish(up(alice), {"id": "fine", "to": "alice", "text": "x"})
    wait_for(lambda: len(client.on(down(alice))) == 6)
    replies = client.on(down(alice))
    assert [(reply["re"], reply.get("error")) for reply in replies] == [
        (None, "bad_request"), (None, "bad_request"), (None, "bad_request"), ("d", "bad_request"),
        ("s", "bad_request"), ("fine", None),
    ]  # fmt: skip
    assert not client.closed.is_set()


def test_an_oversize_packet_closes_its_connection_and_no_other(person, plain):
    alice, bob = person("alice"), person("bob")
    beside, large = plain(bob), plain(alice)
    beside.subscribe(INBOX.format("bob"))
    large.client.publish(up(alice), b"x" * (256 * 1024 + 1), 1)
    wait_for(large.closed.is_set)
    assert alice.send("bob", "still there").status_code == 201
    wait_for(lambda: beside.updates("bob"))


def test_a_message_pack_request_is_answered_in_kind(person, plain):

    alice, bob = person("alice"), person("bob")
    client = plain(alice)
    client.subscribe(down(alice))
    client.publish(up(alice), msgspec.msgpack.encode({"id": "1", "to": "bob", "text": "packed"}))
    wait_for(lambda: client.raw)
    assert msgspec.msgpack.decode(client.raw[0].payload)["message_id"] == 1
    assert [item["text"] for item in bob.inbox()] == ["packed"]


def test_requests_over_http_are_the_same_as_over_mqtt(person):
    alice, bob = person("alice"), person("bob")
    reply = alice.http.post("/requests", json={"id": "1", "to": "bob", "text": "x"}).json()
    assert (reply["message_id"], reply["dup"]) == (1, False)
    assert (
        bob.http.post("/requests", json={"op": "read", "conv": "alice~bob", "message_id": 1}).status_code
        == 200
    )
    listed = bob.http.get("/conversations").json()["conversations"]
    assert (listed[0]["read"], listed[0]["unread"]) == (1, 0)


def test_sigterm_drains_and_exits_zero(server, person, plain):
    alice = person("alice")
    client = plain(alice)
    for number in range(20):
        client.client.publish(up(alice), json.dumps({"to": "alice", "text": f"{number}"}), 1)
    assert server.stop() == 0
    acked = len(client.acked)
    server.start()
    stored = {item["text"] for item in alice.inbox()}
    assert len(stored) >= acked, "whatever was acknowledged is there"
