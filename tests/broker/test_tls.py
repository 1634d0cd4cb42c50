"""Listeners with TLS: handshakes have a bound, certificates can be changed, and a client's may be its login."""

import asyncio
import contextlib
import logging
import ssl

import pytest
import trustme
from broker_client import WAIT, Closed, RawClient
from broker_fakes import FakeAuthenticator
from tls_files import TlsFiles
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from broker.build import MQTTS_LISTENER, WSS_LISTENER, TlsListeners, build_broker
from broker.mqtt import packets as p
from broker.open_mode import build_open_broker
from broker.settings import BrokerSettings
from broker.tls import BadCertificate, identity_of

ANY = "127.0.0.1:0"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Made once, as keys take their time."""
    return TlsFiles(tmp_path_factory.mktemp("tls"))


class Secure:
    """A broker with TLS; clients are closed at the end."""

    def __init__(self, world, files) -> None:
        self.world = world
        self.files = files

    async def open(self, *, client_ca=False, login=False, **settings):
        files = self.files
        tls = TlsListeners(ANY, ANY, files.cert, files.key, files.client_ca if client_ca else None)
        given = BrokerSettings(tick=0.05, **settings)
        if login:
            broker = build_broker(
                mqtt=ANY, ws=None, authenticator=FakeAuthenticator(), settings=given, tls=tls
            )
        else:
            broker = build_open_broker(mqtt=ANY, settings=given, tls=tls)
        return await self.world._started(broker)

    @property
    def port(self):
        return self.world.broker.bound[MQTTS_LISTENER][1]

    async def client(self, context=None):
        streams = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or self.files.trusting(), server_hostname="localhost"
        )
        client = RawClient(*streams)
        self.world.clients.append(client)
        return client

    async def silent(self):
        """A socket in which nothing is said."""
        client = await RawClient.open(self.port)
        self.world.clients.append(client)
        return client


@pytest.fixture
def secure(world, authorities):
    authorities.issue()
    return Secure(world, authorities)


def serial(client):
    return client.writer.get_extra_info("peercert")["serialNumber"]


async def test_mqtt_goes_over_tls(secure):
    await secure.open()
    client = await secure.client()
    assert (await client.login("c")).code == 0
    await client.subscribe(("t", 1))
    await client.send(p.Publish("t", bytes(100_000), 1, packet_id=1))
    assert {type(await client.next()) for _ in range(2)} == {p.Puback, p.Publish}
    assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_websockets_go_over_tls(secure):
    await secure.open()
    port = secure.world.broker.bound[WSS_LISTENER][1]
    async with connect(
        f"wss://localhost:{port}/mqtt",
        host="127.0.0.1",
        ssl=secure.files.trusting(),
        subprotocols=[Subprotocol("mqtt")],
        compression=None,
    ) as websocket:
        await websocket.send(p_connect())
        assert await websocket.recv() == b"\x20\x02\0\0"


def p_connect() -> bytes:
    return b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01w"


async def test_what_comes_right_behind_the_handshake_is_not_lost(secure):
    await secure.open()
    for number in range(20):
        client = await secure.client()
        assert (await client.login(f"c{number}")).code == 0


async def test_a_handshake_that_does_not_begin_ends(secure, until):
    await secure.open(connect_timeout=0.2)
    client = await secure.silent()
    assert await client.closed() == []
    await until(lambda: secure.world.broker.metrics.handshakes_failed == 1)
    assert secure.world.broker._hub.doorkeeper.held == 0


async def test_what_is_no_tls_ends_and_nobody_else(secure, until):
    await secure.open()
    pair = await secure.client()
    await pair.login("c")
    plain = await secure.silent()
    await plain.raw(b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01a")
    with contextlib.suppress(Closed):
        await plain.closed()
    await until(lambda: secure.world.broker.metrics.handshakes_failed == 1)
    await pair.ping()


async def test_a_connection_counts_before_its_handshake(secure, until):
    await secure.open(connections_per_address=2)
    doorkeeper = secure.world.broker._hub.doorkeeper
    first, _second = await secure.silent(), await secure.silent()
    await until(lambda: doorkeeper.held == 2)
    third = await secure.silent()
    assert await third.closed() == []
    assert secure.world.broker.metrics.connections_refused == 1
    first.cut()
    await until(lambda: doorkeeper.held == 1)
    good = await secure.client()
    assert (await good.login("c")).code == 0
    assert doorkeeper.held == 2


async def test_connections_in_all_are_limited_whatever_their_listener(secure, until):
    await secure.open(connections=2)
    doorkeeper = secure.world.broker._hub.doorkeeper
    plain, _silent = await secure.world.client("plain"), await secure.silent()
    await until(lambda: doorkeeper.held == 2)
    for refused in (await secure.world.raw(), await secure.silent()):
        assert await refused.closed() == []
    await plain.ping()
    plain.cut()
    await until(lambda: doorkeeper.held == 1)
    assert (await (await secure.client()).login("c")).code == 0


async def test_a_new_certificate_is_shown_to_who_comes_next_and_nobody_is_dropped(secure):
    broker = await secure.open()
    old = await secure.client()
    await old.login("old")
    secure.files.issue()
    broker.reload_certificates()
    new = await secure.client()
    await new.login("new")
    assert serial(new) != serial(old)
    await old.ping()


@pytest.mark.parametrize("bad", ["no certificate at all", "another key", "no file"])
async def test_a_bad_certificate_is_one_line_in_the_log_and_the_old_one_stays(secure, caplog, bad):
    broker = await secure.open()
    old = await secure.client()
    await old.login("old")
    files = secure.files
    match bad:
        case "no certificate at all":
            files.cert.write_text("oops")
        case "another key":
            files.key.write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
        case _:
            files.cert.replace(files.folder / "gone.pem")
    with caplog.at_level(logging.INFO, "pabal.broker"):
        broker.reload_certificates()
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "certificates stay as they were" in record.getMessage()
    assert str(files.folder) in record.getMessage()
    new = await secure.client()
    await new.login("new")
    assert serial(new) == serial(old)
    await old.ping()


async def test_a_start_with_a_bad_certificate_says_which(world, tmp_path):
    files = TlsFiles(tmp_path)
    files.cert.write_text("oops")
    with pytest.raises(BadCertificate, match=r"cert\.pem"):
        await Secure(world, files).open()
    world.broker = None


@pytest.mark.parametrize("username", [None, "alice"])
async def test_a_client_certificate_is_a_login_without_a_password(secure, username):
    await secure.open(client_ca=True, login=True)
    client = await secure.client(secure.files.certified("alice:phone"))
    assert (await client.login("alice:phone", username=username)).code == 0
    assert (
        await client.subscribe(("pabal/v1/down/alice/phone", 1), ("pabal/v1/down/bob/phone", 1))
        == b"\x01\x80"
    )


async def test_a_client_certificates_alternative_name_comes_before_its_common_name():
    class Tls:
        def getpeercert(self):
            return {
                "subject": ((("commonName", "bob:phone"),),),
                "subjectAltName": (("DNS", "carol:phone"), ("URI", "https://x"), ("URI", "alice:phone")),
            }

    found = identity_of(Tls())
    assert (found.user, found.device) == ("alice", "phone")
    assert identity_of(None) is None


@pytest.mark.parametrize(
    ("certificate", "client_id", "username"),
    [
        ("alice:phone", "alice:laptop", None),
        ("alice:phone", "bob:phone", None),
        ("alice:phone", "bob:phone", "bob"),
        ("alice:laptop", "alice:laptop", None),
        ("nobody:phone", "nobody:phone", None),
        ("alice", "alice:phone", "alice"),
        ("alice:phone:x", "alice:phone", None),
    ],
)
async def test_a_client_certificate_is_good_for_its_device_only(secure, certificate, client_id, username):
    await secure.open(client_ca=True, login=True)
    client = await secure.client(secure.files.certified(certificate))
    await client.send(p.Connect(client_id, username=username))
    (answer,) = await client.closed()
    assert answer.code in {4, 5}


async def test_who_has_no_certificate_logs_in_with_a_password(secure):
    await secure.open(client_ca=True, login=True)
    client = await secure.client()
    assert (await client.login("alice:phone", username="alice", password=b"phone-secret")).code == 0
    other = await secure.client()
    assert (await other.login("alice:phone", username="alice")).code == 4


async def refused_certificate(secure, context):
    """With TLS 1.3 a client hears of it only after its own handshake."""
    with contextlib.suppress(ssl.SSLError, ConnectionError, Closed):
        client = await secure.client(context)
        async with asyncio.timeout(WAIT):
            await client.send(p.Connect("alice:phone"))
            return (await client.next()).code == 0
    return True


async def test_a_client_certificate_of_somebody_else_ends_the_handshake(secure, until):
    await secure.open(client_ca=True, login=True)
    assert await refused_certificate(secure, secure.files.certified("alice:phone", by=trustme.CA()))
    await until(lambda: secure.world.broker.metrics.handshakes_failed == 1)
    assert secure.world.broker.metrics.connects == 0


async def test_a_client_ca_that_was_taken_away_vouches_for_nobody(world, tmp_path, until):
    files = TlsFiles(tmp_path)
    secure = Secure(world, files)
    broker = await secure.open(client_ca=True, login=True)
    known = await secure.client(files.certified("alice:phone"))
    assert (await known.login("alice:phone")).code == 0
    other = trustme.CA()
    other.cert_pem.write_to_path(str(files.client_ca))
    broker.reload_certificates()
    assert await refused_certificate(secure, files.certified("alice:phone"))
    await until(lambda: broker.metrics.handshakes_failed == 1)
    await known.ping()
    new = await secure.client(files.certified("alice:phone", by=other))
    assert (await new.login("alice:phone")).code == 0
