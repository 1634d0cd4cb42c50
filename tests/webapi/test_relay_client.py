import socket
import threading
import time

import msgspec
import pytest
from fake_mqtt import FakeMqttBroker

from pabal.errors import Unavailable
from pabal.ids import DeviceId, UserId
from webapi.relay_client import MqttRelayClient

DOWN = "pabal/v1/svc/web1/down"
SECRET = "s3cret"
ALICE, PHONE = UserId("alice"), DeviceId("phone")


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def echo(payload):
    """The reply says what was asked."""
    asked = msgspec.json.decode(payload)
    return [msgspec.json.encode({"ref": asked["ref"], "reply": {"ok": True, "asked": asked["request"]}})]


@pytest.fixture
def broker():
    made = FakeMqttBroker(echo, DOWN, SECRET)
    yield made
    made.close()


@pytest.fixture
def connect(broker, monkeypatch):
    monkeypatch.setattr("webapi.relay_client._RECONNECT_S", (0.05, 0.1))
    made = []

    def connect(secret=SECRET, timeout_s=60, addresses=None, **options):
        where = addresses or [("127.0.0.1", broker.port)]
        client = MqttRelayClient(where, "web1", secret, timeout_s=timeout_s, **options)
        client.start()
        made.append(client)
        return client

    yield connect
    for client in made:
        client.stop()


def test_a_request_is_asked_in_the_users_name_and_its_reply_comes_back(broker, connect):
    client = connect()
    until(client.connected)
    reply = client.ask(ALICE, PHONE, b'{"op":"ack","id":"r1","seq":1}')
    assert msgspec.json.decode(reply) == {"ok": True, "asked": {"op": "ack", "id": "r1", "seq": 1}}
    ((topic, payload),) = broker.published
    assert topic == "pabal/v1/svc/web1/up"
    assert msgspec.json.decode(payload)["as"] == {"user": "alice", "device": "phone"}
    assert broker.logins == [("svc:web1", "svc:web1", SECRET)]
    assert broker.filters == [DOWN]


def test_many_who_ask_at_once_each_get_their_own_reply(connect):
    client = connect()
    until(client.connected)
    replies = {}

    def ask(number):
        replies[number] = msgspec.json.decode(client.ask(ALICE, PHONE, b'{"n":%d}' % number))["asked"]["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {number: number for number in range(30)}


def test_without_an_answer_in_time_the_relay_is_unavailable(broker, connect):
    broker.answer = lambda _payload: []
    client = connect(timeout_s=0.05)
    until(client.connected)
    with pytest.raises(Unavailable) as refused:
        client.ask(ALICE, PHONE, b"{}")
    assert refused.value.retry_after is not None


def test_answers_that_nobody_waits_for_or_can_read_are_passed_over(broker, connect):
    broker.answer = lambda payload: [
        b"{",
        b'{"ref":"unknown","reply":{}}',
        b'{"ref":"unknown","reply":null}',
        b"[]",
        *echo(payload),
        *echo(payload),
    ]
    client = connect()
    until(client.connected)
    for _ in range(2):
        assert client.ask(ALICE, PHONE, b"{}")


def test_what_was_under_way_when_the_connection_broke_is_asked_again(broker, connect):
    broken = threading.Event()

    def die_once(payload):
        if broken.is_set():
            return echo(payload)
        broken.set()
        broker.drop()
        return []

    broker.answer = die_once
    client = connect()
    until(client.connected)
    assert msgspec.json.decode(client.ask(ALICE, PHONE, b'{"n":1}'))["asked"] == {"n": 1}
    assert len(broker.logins) >= 2


def test_a_request_made_before_the_connection_is_there_is_asked_once_it_is(connect):
    assert connect().ask(ALICE, PHONE, b"{}")


def test_beyond_its_bound_the_next_request_is_refused_at_once(broker, connect):
    broker.answer = lambda _payload: []
    client = connect(max_outstanding=1)
    until(client.connected)
    replies = []
    first = threading.Thread(target=lambda: replies.append(client.ask(ALICE, PHONE, b"{}")))
    first.start()
    until(lambda: broker.published)
    with pytest.raises(Unavailable, match="too many"):
        client.ask(ALICE, PHONE, b"{}")
    broker.answer = echo
    broker.drop()  # the first is asked again, and answered
    first.join()
    assert len(replies) == 1
    assert client.ask(ALICE, PHONE, b"{}")


def test_with_a_wrong_secret_it_is_not_connected_and_says_so(broker, connect, caplog):
    client = connect("wrong", timeout_s=0.01)
    until(lambda: "refused the webapi's credential" in caplog.text)
    assert not client.connected()
    with pytest.raises(Unavailable):
        client.ask(ALICE, PHONE, b"{}")
    assert broker.published == []


def test_without_its_subscription_it_is_not_connected_and_says_so(broker, connect, caplog):
    broker.refuse_subscriptions = True
    client = connect()
    until(lambda: "refused the webapi's subscription" in caplog.text)
    assert not client.connected()


def test_it_knows_when_the_connection_is_gone(broker, connect):
    client = connect()
    until(client.connected)
    broker.secret = "changed"
    broker.drop()
    until(lambda: not client.connected())


def test_small_packets_are_sent_at_once(broker, connect):
    client = connect()
    until(client.connected)
    assert broker.logins
    assert client._client.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_of_several_addresses_the_one_that_answers_is_found_and_that_the_others_do_not_is_said_once(
    broker, connect, caplog
):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()
    client = connect(addresses=[closed, closed, ("127.0.0.1", broker.port)])
    until(client.connected)
    broker.drop()
    until(lambda: len(broker.logins) == 2)
    until(client.connected)
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told == [told[0]]
    assert "cannot be reached" in told[0]


def test_pauses_before_a_try_grow_up_to_a_bound_and_differ(broker, monkeypatch):
    client = MqttRelayClient([("127.0.0.1", broker.port)], "web1", SECRET)
    monkeypatch.setattr("webapi.relay_client._RECONNECT_S", (1.0, 8.0))
    drawn = []
    monkeypatch.setattr(client._client, "reconnect_delay_set", lambda least, _most: drawn.append(least))
    for failures in range(1, 60):
        client._failed("no answer")
        bound = min(2.0**failures, 8.0)
        assert bound / 2 <= drawn[-1] <= bound
    assert len(set(drawn)) > 50
