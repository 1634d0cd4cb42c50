"""Starting, listening, stopping; and connections that come by other ways than our own listeners."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import ExternalServer
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import BrokerError
from broker_client import RawClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.build import MQTT_LISTENER, WS_LISTENER, build_broker
from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.open_mode import build_open_broker
from broker.server import PabalBroker

WELCOME = {"broker.open_mode.WelcomePlugin": {}}


async def test_it_says_where_it_listens(world):
    broker = await world.open(ws="127.0.0.1:0")
    assert set(broker.bound) == {MQTT_LISTENER, WS_LISTENER}
    assert all(host == "127.0.0.1" and port for host, port in broker.bound.values())
    await broker.shutdown()
    assert not broker.bound
    await broker.shutdown()


@pytest.mark.parametrize("which", ["mqtt", "ws"])
async def test_an_address_in_use_is_an_os_error_that_names_it(which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        addresses = {"mqtt": "127.0.0.1:0", "ws": "127.0.0.1:0", which: address}
        broker = build_open_broker(**addresses)
        with pytest.raises(OSError, match=address):
            await broker.start()
        assert not broker.bound
        with pytest.raises(BrokerError):
            await broker.start()
    await broker.shutdown()


async def test_it_cannot_be_started_twice_but_again_after_a_shutdown(world):
    broker = await world.open()
    with pytest.raises(BrokerError):
        await broker.start()
    await broker.shutdown()
    await broker.start()
    await (await world.client("c")).ping()


async def test_ipv6_is_an_address_like_others():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    broker = build_open_broker(mqtt="[::1]:0")
    try:
        await broker.start()
    except OSError:
        pytest.skip("no IPv6 here")
    assert broker.bound[MQTT_LISTENER][0] == "::1"
    await broker.shutdown()


async def test_the_port_of_the_inbound_may_be_given_later(world):
    broker = build_broker(mqtt="127.0.0.1:0", ws=None, authenticator=world.authenticator)
    broker.inbound = world.inbound
    await world._started(broker)
    client = await world.device("alice:phone")
    await client.publish("pabal/v1/up/alice/phone", b"{}", 1)
    assert world.inbound.payloads() == [b"{}"]


async def test_a_listener_can_be_limited(world, until):
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind="127.0.0.1:0", max_connections=2)}, plugins=WELCOME
    )
    await world._started(PabalBroker(config, settings=world.settings))
    one = await world.client("1")
    await world.client("2")
    third = await world.raw()
    assert await third.closed() == []
    await one.disconnect()
    await until(lambda: world.broker.metrics.connections == 1)
    await (await world.client("3")).ping()


async def test_keepalive_and_nodelay_are_set_on_the_socket(world):
    await world.open()
    await world.client("c")
    raw = world.broker._hub.sessions["c"].connection.transport.get_extra_info("socket")
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


async def test_tls_is_a_listener_setting_of_amqtt(world, certificate):
    cert, key = certificate
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind="127.0.0.1:0", ssl=True, certfile=cert, keyfile=key)},
        plugins=WELCOME,
    )
    await world._started(PabalBroker(config, settings=world.settings))
    trusting = ssl.create_default_context(cafile=cert)
    streams = await asyncio.open_connection(
        "127.0.0.1", world.port, ssl=trusting, server_hostname="localhost"
    )
    client = RawClient(*streams)
    assert (await client.login("c")).code == 0
    await client.subscribe(("t", 1))
    await client.send(p.Publish("t", bytes(100_000), 1, packet_id=1))
    assert {type(await client.next()) for _ in range(2)} == {p.Puback, p.Publish}
    assert world.broker.sessions["c"][0].ssl_object is not None
    plain = await world.raw()
    await plain.send(p.Connect("no-tls"))
    assert await plain.closed() == []
    await client.disconnect()


@pytest.fixture
async def external(world):
    """A broker whose connections are handed in, as amqtt's adapters to other servers do."""
    config = BrokerConfig(listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)}, plugins=WELCOME)
    broker = await world._started(PabalBroker(config, settings=world.settings))
    assert isinstance(broker._servers["default"], ExternalServer)
    handlers: list[asyncio.Task] = []

    async def accept(reader, writer):
        handlers.append(asyncio.current_task())
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default")

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*handlers, return_exceptions=True)


async def test_external_connections_are_served(external):
    client = await RawClient.connect(external, "c")
    await client.subscribe(("t", 1))
    await client.send(p.Publish("t", bytes(70_000), 1, packet_id=1), p.Pingreq())
    got = [await client.next() for _ in range(3)]
    assert {type(one) for one in got} == {p.Puback, p.Publish, p.Pingresp}
    await client.disconnect()


@pytest.mark.parametrize(
    "raw", [b"\x30\xff\xff\xff\x7f", b"\x30\xff\xff\xff\xff\x7f", b"\xf0\x00", b"\x30\x05\x00"]
)
async def test_bad_external_connections_are_closed(external, raw):
    client = await RawClient.connect(external, "c")
    await client.raw(raw)
    client.writer.write_eof()
    assert await client.closed() == []
    await client.close()


async def test_an_unknown_listener_is_an_error(world):
    broker = await world.open()
    with pytest.raises(BrokerError, match="nowhere"):
        await broker.external_connected(None, None, "nowhere")


async def test_a_task_that_fails_is_logged_and_does_not_stop_the_broker(world, caplog, until):
    await world.open()

    async def failing() -> None:
        raise RuntimeError("boom")

    world.broker._hub.spawn(failing())
    await until(lambda: "a task of the broker failed" in caplog.text)
    await (await world.client("c")).ping()


async def test_secrets_and_payloads_are_not_logged(world, caplog):
    caplog.set_level(0)
    await world.start()
    client = await world.device("alice:phone")
    await client.publish("pabal/v1/up/alice/phone", b"very private", 1)
    bad = await world.raw()
    await bad.send(p.Connect("alice:phone", username="alice", password=b"guess-me"))
    await bad.closed()
    await client.raw(encode(p.Connect("again", username="alice", password=b"phone-secret")))
    await client.closed()
    for secret in ("phone-secret", "guess-me", "very private", "service-secret"):
        assert secret not in caplog.text


async def test_the_snapshot_names_every_counter(world):
    broker = await world.open()
    client = await world.client("c")
    await client.publish("t", b"x", 1)
    counters = broker.metrics.snapshot()
    assert counters["connects"] == counters["sessions"] == counters["publishes_in"] == 1
    assert counters["packets_in"] == 2
    assert all(isinstance(value, int) for value in counters.values())
