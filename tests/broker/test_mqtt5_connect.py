"""MQTT 5 at CONNECT, and how connections end: every refusal has its reason code, and a text."""

import pytest
from broker_client import Closed, RawClient
from malformed_packets import MALFORMED_PACKETS

from broker.mqtt import packets as p
from broker.mqtt.codec import encode
from broker.mqtt.properties import Properties
from broker.mqtt.reasons import Reason

UP = "pabal/v1/up/alice/phone"


def five(client_id: str = "a", **said: object) -> p.Connect:
    """A CONNECT of MQTT 5 with these properties."""
    return p.Connect(client_id, level=5, properties=Properties(**said) if said else None)


async def ended(client: RawClient) -> p.Disconnect:
    """The DISCONNECT that was the server's last word."""
    *_, last = await client.closed()
    assert isinstance(last, p.Disconnect), last
    return last


async def test_the_connack_says_what_may_be_expected(world):
    await world.open(unsettled_limit=20, max_packet_bytes=5000, alias_maximum=3)
    client = await world.client("a", level=5)
    assert client.connack == p.Connack(
        session_present=False,
        code=0,
        properties=Properties(receive_maximum=20, maximum_packet_size=5000, topic_alias_maximum=3),
    )


async def test_a_client_without_an_identifier_is_given_one_and_told_it(world):
    await world.open()
    client = await world.client("", level=5)
    name = client.connack.properties.assigned_client_identifier
    assert name in world.broker.sessions
    # MQTT 5 allows that with an earlier session too, of which there is none.
    other = await world.client("", level=5, clean=False)
    assert other.connack.properties.assigned_client_identifier not in {None, name}


@pytest.mark.parametrize(
    ("most", "asked", "told"),
    [(None, 0, None), (None, 600, None), (60, 0, 60), (60, 61, 60), (60, 60, None), (60, 10, None)],
)
async def test_a_keep_alive_that_is_too_long_is_replaced(world, most, asked, told):
    await world.open(keep_alive_max=most)
    client = await world.client("a", level=5, keep_alive=asked)
    assert client.connack.properties.server_keep_alive == told
    (connection,) = world.broker._hub.connections
    assert connection.keep_alive == (asked if told is None else told) * 1.5


async def test_a_client_of_3_1_1_keeps_its_keep_alive_as_it_cannot_be_told_another(world):
    await world.open(keep_alive_max=60)
    await world.client("a", keep_alive=600)
    (connection,) = world.broker._hub.connections
    assert connection.keep_alive == 900


@pytest.mark.parametrize(
    ("fields", "reason", "code"),
    [
        ({"client_id": "alice:phone"}, Reason.BAD_USER_NAME_OR_PASSWORD, 4),
        (
            {"client_id": "alice:phone", "username": "alice", "password": b"wrong"},
            Reason.BAD_USER_NAME_OR_PASSWORD,
            4,
        ),
        (
            {"client_id": "bob:phone", "username": "alice", "password": b"phone-secret"},
            Reason.NOT_AUTHORIZED,
            5,
        ),
        ({"client_id": "", "username": "alice", "password": b"phone-secret"}, Reason.NOT_AUTHORIZED, 5),
        (
            {
                "client_id": "alice:phone",
                "username": "alice",
                "password": b"phone-secret",
                "will": p.Will("pabal/v1/inbox/bob", b""),
            },
            Reason.NOT_AUTHORIZED,
            5,
        ),
    ],
)
async def test_a_login_is_refused_in_the_words_of_each_level(world, fields, reason, code):
    await world.start()
    client = await world.raw()
    await client.send(p.Connect(**fields, level=5))
    (answer,) = await client.closed()
    assert (answer.session_present, answer.code) == (False, reason)
    assert answer.properties.reason_string
    older = await world.raw()
    await older.send(p.Connect(**fields))
    assert await older.closed() == [p.Connack(session_present=False, code=code)]


async def test_too_many_failures_and_no_database_have_reasons_of_their_own(world, credential):
    await world.start()
    for break_it, reason in (
        (lambda: setattr(world.authenticator.gate, "broken", True), Reason.SERVER_UNAVAILABLE),
        (lambda: setattr(world.authenticator, "limited", True), Reason.CONNECTION_RATE_EXCEEDED),
    ):
        break_it()
        client = await world.raw()
        await client.send(p.Connect("alice:phone", level=5, **credential("alice:phone")))
        (answer,) = await client.closed()
        assert answer.code == reason
        assert answer.properties.reason_string
        world.authenticator.gate.broken = False


async def test_a_reason_string_that_is_more_than_the_client_takes_is_left_out(world):
    await world.start()
    client = await world.raw()
    await client.send(five("alice:phone", maximum_packet_size=5))
    assert await client.closed() == [p.Connack(session_present=False, code=Reason.BAD_USER_NAME_OR_PASSWORD)]


async def test_enhanced_authentication_is_refused_before_anybody_is_asked(world):
    await world.start()
    client = await world.raw()
    await client.send(five("alice:phone", authentication_method="SCRAM-SHA-1", authentication_data=b"n,,"))
    (answer,) = await client.closed()
    assert answer.code == Reason.BAD_AUTHENTICATION_METHOD
    assert world.authenticator.asked == []
    assert not world.broker.sessions


async def test_a_will_that_is_not_the_utf_8_that_it_says_it_is_is_refused(world):
    await world.open()
    will = p.Will("w", b"\xff", properties=Properties(payload_format_indicator=True))
    client = await world.raw()
    await client.send(p.Connect("a", level=5, will=will))
    (answer,) = await client.closed()
    assert answer.code == Reason.PAYLOAD_FORMAT_INVALID


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("CONNECT: receive maximum 0 (5)", Reason.PROTOCOL_ERROR),
        ("CONNECT: an unknown property (5)", Reason.MALFORMED_PACKET),
    ],
)
async def test_a_malformed_connect_is_answered(world, raw, reason):
    await world.open()
    client = await world.raw()
    client._parser.level = 5
    await client.raw(MALFORMED_PACKETS[raw][1])
    assert await client.closed() == [p.Connack(session_present=False, code=reason)]


async def test_a_connect_that_is_too_large_is_answered(world):
    await world.open(max_connect_bytes=100)
    client = await world.raw()
    await client.send(five("a" * 100))
    assert await client.closed() == [p.Connack(session_present=False, code=Reason.PACKET_TOO_LARGE)]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x00\x00", Reason.MALFORMED_PACKET),
        (b"\xc0\x80\x00", Reason.MALFORMED_PACKET),
        (encode(p.Publish("a", bytes(6000)), 5), Reason.PACKET_TOO_LARGE),
        (encode(five()), Reason.PROTOCOL_ERROR),
        (
            encode(p.Auth(Reason.REAUTHENTICATE, Properties(authentication_method="m")), 5),
            Reason.PROTOCOL_ERROR,
        ),
        (encode(p.Connack(session_present=False, code=0), 5), Reason.PROTOCOL_ERROR),
        (encode(p.Suback(1, b"\x00"), 5), Reason.PROTOCOL_ERROR),
        (encode(p.Pingresp(), 5), Reason.PROTOCOL_ERROR),
        (b"\x30\x06\x00\x01a\x02\x01\x02", Reason.PROTOCOL_ERROR),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection_with_its_reason(world, sent, reason):
    await world.open(max_packet_bytes=5000)
    client = await world.client("a", level=5, will=p.Will("w", b"gone"))
    other = await world.client("b", level=5)
    await other.subscribe(("w", 0))
    await client.raw(sent)
    last = await ended(client)
    assert last.reason == reason
    assert last.properties.reason_string
    assert (await other.publishes(1))[0].payload == b"gone"


async def test_a_client_that_takes_no_reason_string_is_told_the_reason_alone(world):
    await world.open()
    client = await world.raw()
    await client.login("a", level=5, properties=Properties(maximum_packet_size=20))
    await client.raw(b"\x00\x00")
    assert await ended(client) == p.Disconnect(Reason.MALFORMED_PACKET)


async def test_a_session_that_is_taken_over_is_told_so(world):
    await world.open()
    client = await world.client("a", level=5)
    await world.client("a")
    assert (await ended(client)).reason == Reason.SESSION_TAKEN_OVER


async def test_a_silent_client_is_told_so(world):
    await world.open()
    client = await world.client("a", level=5, keep_alive=1)
    assert (await ended(client)).reason == Reason.KEEP_ALIVE_TIMEOUT


async def test_a_server_that_stops_says_so(world):
    await world.open()
    client = await world.client("a", level=5)
    await world.kill()
    assert (await ended(client)).reason == Reason.SERVER_SHUTTING_DOWN


async def test_a_kicked_device_is_told_so(world):
    await world.start()
    client = await world.device("alice:phone", level=5)
    await client.subscribe(("pabal/v1/down/alice/phone", 1))
    world.kick("alice", "phone")
    told, last = await client.closed()
    assert b"kicked" in told.payload
    assert last.reason == Reason.ADMINISTRATIVE_ACTION


async def test_too_many_offences_end_the_connection_with_a_reason(world, until):
    await world.start(offence_limit=3, close_grace=60)
    client = await world.device("alice:phone", level=5)
    for number in (1, 2, 3):
        await client.send(p.Publish("pabal/v1/inbox/bob", b"", 1, packet_id=number))
    assert (await ended(client)).reason == Reason.QUOTA_EXCEEDED
    await client.close()
    await until(lambda: not world.broker._hub.connections)  # it was not read when it was ended, and is again


async def test_a_client_of_3_1_1_is_told_nothing_that_its_version_does_not_know(world):
    await world.open()
    client = await world.client("a")
    await client.raw(b"\x00\x00")
    with pytest.raises(Closed):
        await client.next()


# -- MQTT 3.1


async def test_a_client_of_3_1_is_served_as_one_of_3_1_1(world):
    await world.open()
    client = await world.client("a", level=3, clean=False)
    await client.subscribe(("t", 1))
    await client.disconnect()
    await (await world.client("b")).publish("t", b"x", 1)
    again = await world.client("a", level=3, clean=False)
    assert not again.present  # the byte is reserved there
    assert [one.payload for one in await again.publishes(1)] == [b"x"]


async def test_a_client_of_3_1_has_an_identifier(world):
    await world.open()
    client = await world.raw()
    await client.send(p.Connect("", level=3))
    assert await client.closed() == [p.Connack(session_present=False, code=2)]


# -- the last word


@pytest.mark.parametrize("level", [4, 5])
async def test_a_refusal_reaches_a_client_that_has_sent_much_more_already(world, level):
    await world.start(close_grace=60)
    client = await world.raw()
    await client.send(
        p.Connect("alice:phone", level=level), p.Pingreq(), *[p.Publish("t", bytes(60_000))] * 20
    )
    (answer,) = await client.closed()
    assert answer.code == (Reason.BAD_USER_NAME_OR_PASSWORD if level == 5 else 4)


async def test_the_reason_reaches_a_client_that_goes_on_sending(world):
    await world.open(close_grace=60)
    client = await world.client("a", level=5)
    await client.send(b"\x00\x00", *[p.Publish("t", bytes(60_000))] * 20)
    assert (await ended(client)).reason == Reason.MALFORMED_PACKET


async def test_a_client_that_does_not_close_its_side_is_cut_off(world, until):
    await world.open(close_grace=0.2)
    client = await world.client("a", level=5)
    await client.raw(b"\x00\x00")
    await ended(client)
    await until(lambda: not world.broker._hub.connections)
