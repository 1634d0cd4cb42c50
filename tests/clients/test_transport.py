import datetime as dt
import gc
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_mqtt_broker import FakeBroker
from faultlab.ports import port_of, reserved

from pabal_client import Client, ClientError, Unreachable
from pabal_client import effects as e
from pabal_client import transport as t

LOGIN = t.Login("alice:phone", "alice", "secret")
WILL = e.Publish(0, "pabal/v1/status/alice/phone", b"{}", 1, retain=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", t.Address("mqtt", "localhost", 1883)),
        ("localhost:1", t.Address("mqtt", "localhost", 1)),
        ("tcp://h:2", t.Address("mqtt", "h", 2)),
        ("mqtts://h", t.Address("mqtts", "h", 8883)),
        ("ws://h:8083", t.Address("ws", "h", 8083, "/mqtt")),
        ("wss://h/other", t.Address("wss", "h", 443, "/other")),
        ("mqtt://[::1]:5", t.Address("mqtt", "::1", 5)),
    ],
)
def test_addresses(text, address):
    assert t.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "ftp://h", "mqtt://", "mqtt://h:x", "h:99999", "://"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ClientError, match="no broker address"):
        t.parse_address(text)


def link_to(port, **options):
    return t.Link(t.Address("mqtt", "127.0.0.1", port), LOGIN, WILL, **options)


def step_until(link, kind, timeout=60.0):
    """All that happened up to the first of this kind."""
    seen = []
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        seen += link.step(0.1)
        if any(isinstance(one, kind) for one in seen):
            return seen
    raise AssertionError(seen)


def test_a_link_connects_subscribes_publishes_and_takes_leave():
    with FakeBroker() as broker:
        link = link_to(broker.port)
        assert step_until(link, t.Connected) == [t.Connected()]
        link.subscribe(e.Subscribe((("pabal/v1/down/alice/phone", 1), ("pabal/v1/inbox/alice", 1))))
        assert step_until(link, t.Subscribed) == [t.Subscribed((True, True))]
        link.publish(e.Publish(7, "pabal/v1/up/alice/phone", b'{"id":"1","to":"bob","text":"x"}'))
        seen = step_until(link, t.PubAck)
        while len([one for one in seen if isinstance(one, t.Message)]) < 2:
            seen += link.step(0.1)
        assert t.PubAck(7) in seen
        assert [one.topic for one in seen if isinstance(one, t.Message)] == [
            "pabal/v1/down/alice/phone",
            "pabal/v1/inbox/alice",
        ]
        link.close(e.Publish(8, "pabal/v1/status/alice/phone", b"bye", 1, retain=True))
        broker.wait_for(lambda: broker.status == [b"bye"] and not broker.links)
        link.wake()
        link.publish(e.Publish(9, "x", b""))
        link.subscribe(e.Subscribe((("x", 0),)))


@pytest.mark.parametrize(("code", "because_of_login"), [(1, False), (3, False), (4, True), (5, True)])
def test_a_refused_connection_tells_whether_the_credential_is_to_blame(code, because_of_login):
    with FakeBroker() as broker:
        broker.refuse = [code]
        link = link_to(broker.port)
        lost = step_until(link, t.Lost)[-1]
        assert lost.login_refused is because_of_login
        link.close()


def test_a_connection_that_breaks_is_told_once():
    with FakeBroker() as broker:
        link = link_to(broker.port)
        step_until(link, t.Connected)
        broker.drop_all()
        assert isinstance(step_until(link, t.Lost)[-1], t.Lost)
        assert link.step(0.0) == []
        link.close()


def test_no_more_than_a_window_is_unacknowledged_and_the_rest_waits_within_a_bound(monkeypatch):
    monkeypatch.setattr(t, "MAX_WAITING", 5)
    with FakeBroker() as broker:
        broker.deaf = True
        link = link_to(broker.port)
        step_until(link, t.Connected)
        for number in range(t.WINDOW + 5):
            link.publish(e.Publish(number, "pabal/v1/status/alice/phone", b"%d" % number))
        broker.wait_for(lambda: len(broker.status) == t.WINDOW)
        assert link.step(0.05) == []
        assert len(broker.status) == t.WINDOW
        link.publish(e.Publish(99, "pabal/v1/status/alice/phone", b"x"))
        assert step_until(link, t.Lost)[-1].reason == "the broker acknowledges too slowly"
        link.close()


def test_what_waited_for_the_window_goes_out_in_order():
    with FakeBroker() as broker:
        link = link_to(broker.port)
        step_until(link, t.Connected)
        for number in range(100):
            link.publish(e.Publish(number, "pabal/v1/status/alice/phone", b"%d" % number))
        acked = []
        while len(acked) < 100:
            acked += [one.token for one in link.step(1.0) if isinstance(one, t.PubAck)]
        assert acked == list(range(100))
        assert broker.status == [b"%d" % number for number in range(100)]
        link.close()


def test_a_link_that_is_woken_does_not_wait():
    with FakeBroker() as broker:
        link = link_to(broker.port)
        step_until(link, t.Connected)
        for _ in range(5000):
            link.wake()
        assert link.step(60) == []
        link.close()


def test_a_silent_broker_is_noticed_by_its_missing_ping_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = link_to(listener.getsockname()[1], keepalive=1)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"\x20\x02\x00\x00")
            step_until(link, t.Connected)
            assert "lost" in step_until(link, t.Lost)[-1].reason.lower()
        link.close()


def test_where_nobody_listens_nothing_is_reached():
    with reserved() as nobody, pytest.raises(Unreachable, match="cannot connect"):
        link_to(port_of(nobody))


@pytest.fixture
def tls(tmp_path):
    """A certificate for 127.0.0.1. Returns the server's and the client's contexts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(cert.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return server, ssl.create_default_context(cafile=tmp_path / "cert.pem")


def test_a_whole_client_over_tls(tls, tmp_path):
    server, trusting = tls
    with (
        FakeBroker(tls=server) as broker,
        Client.open(
            f"mqtts://127.0.0.1:{broker.port}",
            user="alice",
            device="phone",
            password="x",
            store=tmp_path / "a.db",
            tls=trusting,
        ) as client,
    ):
        assert client.send(to="bob", text="x" * 20_000, timeout=60).message_id == 1
        assert len(next(client.messages(timeout=60)).text) == 20_000


# paho leaves the socket of a failed handshake to the garbage collector.
PAHO_LEAVES_IT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@PAHO_LEAVES_IT_OPEN
def test_a_certificate_that_is_not_trusted_is_no_connection(tls):
    with FakeBroker(tls=tls[0]) as broker, pytest.raises(Unreachable):
        t.Link(t.Address("mqtts", "127.0.0.1", broker.port), LOGIN, WILL)
    gc.collect()


def test_a_whole_client_over_websocket(tmp_path):
    with (
        FakeBroker(websocket=True) as broker,
        Client.open(
            f"ws://127.0.0.1:{broker.port}/mqtt",
            user="alice",
            device="phone",
            password="x",
            store=tmp_path / "a.db",
        ) as client,
    ):
        for number in range(20):
            broker.peer_says(str(number) * 1000)
        assert client.send(to="bob", text="hi", timeout=60).message_id == 21
        client.sync(60)
        assert [message.seq for message in client.messages(timeout=0.1)] == list(range(1, 22))


@PAHO_LEAVES_IT_OPEN
def test_a_web_server_that_is_no_websocket_is_no_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable):
            t.Link(t.Address("ws", "127.0.0.1", port), LOGIN, WILL)
        gc.collect()
        thread.join(60)


MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_link_gets_on_with_mosquitto(tmp_path):
    holder = reserved()
    port = port_of(holder)
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(tmp_path / "conf")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                link = link_to(port)
                break
            except Unreachable:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        step_until(link, t.Connected)
        link.subscribe(e.Subscribe((("pabal/v1/up/alice/phone", 1),)))
        step_until(link, t.Subscribed)
        for number in range(50):
            link.publish(e.Publish(number, "pabal/v1/up/alice/phone", json.dumps(number).encode()))
        got = []
        while len(got) < 50:
            got += [int(one.payload) for one in link.step(1.0) if isinstance(one, t.Message)]
        assert got == list(range(50))
        link.close()
    finally:
        process.terminate()
        process.wait(60)
        holder.close()
