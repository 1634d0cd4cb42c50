"""CONNECT: who comes in, and that nothing moves before that is known."""

import pytest
from broker_client import RawClient

from broker.mqtt import packets as p

BAD_CREDENTIALS, NOT_AUTHORIZED, UNAVAILABLE = 4, 5, 3
UP = "pabal/v1/up/alice/phone"
STATUS = "pabal/v1/status/alice/phone"


async def test_a_device_with_its_credential_comes_in(world):
    await world.start()
    client = await world.device("alice:phone")
    await client.ping()
    assert world.authenticator.asked == [("alice", "phone-secret", "127.0.0.1")]
    assert world.broker.metrics.connects == 1


async def test_a_suffix_is_a_second_connection_with_the_same_rights(world):
    await world.start()
    one = await world.device("alice:phone")
    other = await world.device("alice:phone:pub")
    await other.publish(UP, b"{}", 1)
    await one.ping()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"client_id": "alice:phone"}, BAD_CREDENTIALS),
        ({"client_id": "alice:phone", "username": "alice"}, BAD_CREDENTIALS),
        ({"client_id": "alice:phone", "username": "alice", "password": b"phone-wrong"}, BAD_CREDENTIALS),
        ({"client_id": "alice:phone", "username": "alice", "password": b"\xff\xfe"}, BAD_CREDENTIALS),
        ({"client_id": "alice:phone", "username": "ALICE!", "password": b"phone-secret"}, BAD_CREDENTIALS),
        ({"client_id": "nobody:phone", "username": "nobody", "password": b"phone-secret"}, BAD_CREDENTIALS),
        ({"client_id": "bob:phone", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "alice:tablet", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "alice:phone:a:b", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "alice", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "svc:web-1", "username": "alice", "password": b"phone-secret"}, NOT_AUTHORIZED),
        ({"client_id": "svc:web-1", "username": "svc:web-1", "password": b"guess"}, BAD_CREDENTIALS),
        ({"client_id": "svc:web-1", "username": "svc:web-2", "password": b""}, BAD_CREDENTIALS),
        ({"client_id": "svc:web-2", "username": "svc:web-1", "password": b"service-secret"}, NOT_AUTHORIZED),
    ],
)
async def test_is_refused(world, fields, code):
    await world.start()
    client = await world.raw()
    await client.send(p.Connect(**fields))
    assert await client.closed() == [p.Connack(session_present=False, code=code)]
    assert world.broker.metrics.logins_refused == 1
    assert not world.store.sessions


@pytest.mark.parametrize(
    ("instance", "code"),
    [("many", 0), ("many-4f3a", 0), ("many-4-f", 0), ("many2", BAD_CREDENTIALS), ("man-y", BAD_CREDENTIALS)],
)
async def test_instances_of_a_service_show_its_secret(world, instance, code):
    await world.start()
    client = await world.raw()
    name = f"svc:{instance}"
    await client.send(p.Connect(client_id=name, username=name, password=b"shared-secret"))
    assert (await client.expect(p.Connack)).code == code


async def test_too_many_failures_are_not_authorized(world):
    await world.start()
    world.authenticator.limited = True
    client = await world.raw()
    await client.send(p.Connect("alice:phone", username="alice", password=b"phone-secret"))
    assert await client.closed() == [p.Connack(session_present=False, code=NOT_AUTHORIZED)]


async def test_without_the_database_the_server_is_unavailable(world, credential):
    await world.start()
    world.authenticator.gate.broken = True
    client = await world.raw()
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    assert await client.closed() == [p.Connack(session_present=False, code=UNAVAILABLE)]


async def test_a_session_that_cannot_be_stored_is_not_promised(world, credential):
    await world.start()
    world.store.gate.broken = True
    client = await world.raw()
    await client.send(p.Connect("alice:phone", clean=False, **credential("alice:phone")))
    assert await client.closed() == [p.Connack(session_present=False, code=UNAVAILABLE)]
    world.store.gate.broken = False
    again = await world.device("alice:phone", clean=False)
    assert not again.present


async def test_a_persistent_session_is_on_disk_before_its_connack(world, credential, until):
    await world.start()
    world.store.gate.shut()
    client = await world.raw()
    await client.send(p.Connect("alice:phone", clean=False, **credential("alice:phone")))
    await until(lambda: world.store.gate.waiting)
    with pytest.raises(TimeoutError):
        await client.next(0.05)
    world.store.gate.open()
    assert await client.next() == p.Connack(session_present=False, code=0)
    assert world.store.sessions["alice:phone"].user == "alice"


async def test_a_clean_connect_deletes_the_row_before_its_connack(world, credential, until):
    await world.start()
    await (await world.device("alice:phone", clean=False)).disconnect()
    world.store.gate.shut()
    client = await world.raw()
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    await until(lambda: world.store.gate.waiting)
    with pytest.raises(TimeoutError):
        await client.next(0.05)
    world.store.gate.open()
    assert await client.next() == p.Connack(session_present=False, code=0)
    assert not world.store.sessions


async def test_a_clean_connect_whose_deletion_fails_leaves_the_session(world, credential):
    await world.start()
    await (await world.device("alice:phone", clean=False)).disconnect()
    world.store.gate.broken = True
    client = await world.raw()
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    assert await client.closed() == [p.Connack(session_present=False, code=UNAVAILABLE)]
    world.store.gate.broken = False
    assert (await world.device("alice:phone", clean=False)).present


async def test_packets_sent_behind_the_connect_wait_for_the_login(world, credential, until):
    await world.start()
    world.authenticator.gate.shut()
    client = await world.raw()
    await client.send(
        p.Connect("alice:phone", **credential("alice:phone")),
        p.Publish(UP, b"{}", 1, packet_id=1),
        p.Pingreq(),
    )
    await until(lambda: world.authenticator.in_flight)
    assert not world.inbound.submitted
    world.authenticator.gate.open()
    got = [await client.next(), await client.next(), await client.next()]
    assert got[0] == p.Connack(session_present=False, code=0)
    assert set(map(type, got[1:])) == {p.Puback, p.Pingresp}
    assert world.inbound.payloads() == [b"{}"]


async def test_a_failed_login_touches_neither_the_session_nor_the_connection_nor_a_will(world):
    await world.start()
    watcher = await world.client("svc:web-1", username="svc:web-1", password=b"service-secret")
    victim = await world.device("alice:phone", clean=False, will=p.Will(STATUS, b"gone", retain=True))
    await victim.subscribe(("pabal/v1/inbox/alice", 1))
    before = dict(world.store.sessions)
    attacker = await world.raw()
    await attacker.send(
        p.Connect(
            "alice:phone", username="alice", password=b"wrong", will=p.Will(STATUS, b"evil", retain=True)
        )
    )
    await attacker.closed()
    await victim.ping()
    await watcher.ping()
    assert world.store.sessions == before
    assert not world.broker.retained_messages
    assert world.broker.metrics.wills == 0


async def test_a_second_connection_takes_over_and_the_firsts_will_is_published(world):
    await world.start()
    first = await world.device("alice:phone", clean=False, will=p.Will(STATUS, b"first", 1, retain=True))
    await first.subscribe(("pabal/v1/inbox/alice", 1))
    second = await world.device("alice:phone", clean=False)
    await first.closed()
    assert second.present
    await second.ping()
    assert world.broker.retained_messages[STATUS].data == b"first"
    assert world.broker.metrics.takeovers == 1
    world.deliver("alice", b"u1")
    assert [one.payload for one in await second.publishes(1)] == [b"u1"]


async def test_a_takeover_of_clean_sessions_begins_anew(world):
    await world.open()
    first = await world.client("x")
    await first.subscribe(("t", 0))
    second = await world.client("x")
    await first.closed()
    await second.publish("t")
    assert await second.until_pong() == []
    assert world.broker.metrics.sessions == 1


async def test_many_logins_of_one_client_id_at_once_leave_one_connection(world, until):
    await world.start()
    world.authenticator.gate.shut()
    clients = [await world.raw() for _ in range(8)]
    for client in clients:
        await client.send(p.Connect("alice:phone", username="alice", password=b"phone-secret", clean=False))
    await until(lambda: world.authenticator.in_flight == 8)
    world.authenticator.gate.open()
    await until(lambda: world.broker.metrics.connections == 1)
    assert world.broker.metrics.takeovers == 7


async def test_logins_in_flight_are_bounded_and_the_others_wait(world, until):
    await world.start(login_limit=2)
    world.authenticator.gate.shut()
    clients = [await world.raw() for _ in range(5)]
    for number, client in enumerate(clients):
        await client.send(p.Connect(f"alice:phone:{number}", username="alice", password=b"phone-secret"))
    await until(lambda: world.authenticator.in_flight == 2)
    world.authenticator.gate.open()
    for client in clients:
        assert (await client.expect(p.Connack)).code == 0
    assert world.authenticator.most_in_flight == 2


async def test_the_deadline_counts_the_clients_slowness_and_not_ours(world, credential, until):
    await world.start(connect_timeout=2)
    world.authenticator.gate.shut()
    slow = await world.raw()
    waiting = await world.raw()
    await waiting.send(p.Connect("alice:phone", **credential("alice:phone")))
    await slow.raw(b"\x10")
    await slow.closed()
    await until(lambda: world.authenticator.in_flight)
    world.authenticator.gate.open()
    assert (await waiting.expect(p.Connack)).code == 0


@pytest.mark.parametrize("topic", ["pabal/v1/status/bob/phone", "pabal/v1/up/bob/phone", "elsewhere"])
async def test_a_will_that_may_not_be_published_is_refused(world, credential, topic):
    await world.start()
    client = await world.raw()
    await client.send(p.Connect("alice:phone", will=p.Will(topic, b"x"), **credential("alice:phone")))
    assert await client.closed() == [p.Connack(session_present=False, code=NOT_AUTHORIZED)]


async def test_an_empty_client_id_is_made_up_for_a_clean_session_only(world):
    await world.open()
    await (await world.client("")).ping()
    assert next(iter(world.broker.sessions)).startswith("auto-")
    other = await world.raw()
    await other.send(p.Connect("", clean=False))
    assert await other.closed() == [p.Connack(session_present=False, code=2)]


async def test_a_client_id_too_long_for_the_store_is_refused(world):
    await world.open()
    await world.client("x" * 255)
    other = await world.raw()
    await other.send(p.Connect("x" * 256))
    assert await other.closed() == [p.Connack(session_present=False, code=2)]


@pytest.mark.parametrize(("level", "answer"), [(6, b"\x20\x03\x00\x84\x00"), (3, b"\x20\x02\x00\x01")])
async def test_another_mqtt_version_is_told_so(world, level, answer):
    await world.open()
    client = await world.raw()
    await client.raw(b"\x10\x10\x00\x04MQTT" + bytes((level,)) + b"\x02\x00\x3c\x00\x00\x01a\x00\x00")
    assert await client._reader.read() == answer


async def test_a_login_that_is_kicked_while_it_is_looked_at_does_not_come_in(world, credential, until):
    await world.start()
    world.authenticator.gate.shut()
    client = await world.raw()
    other = await world.raw()
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    await other.send(p.Connect("alice:tablet", **credential("alice:tablet")))
    await until(lambda: world.authenticator.in_flight == 2)
    world.kick("alice", "phone")
    world.authenticator.gate.open()
    assert await client.closed() == [p.Connack(session_present=False, code=NOT_AUTHORIZED)]
    assert (await other.expect(p.Connack)).code == 0


@pytest.mark.parametrize(("kicked", "code"), [("mine", NOT_AUTHORIZED), ("another", 0)])
async def test_only_the_login_that_is_ended_does_not_come_in(world, credential, until, kicked, code):
    await world.start()
    world.authenticator.credential = "mine"
    world.authenticator.gate.shut()
    client = await world.raw()
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    await until(lambda: world.authenticator.in_flight == 1)
    world.kick("alice", "phone", "replaced", kicked)
    world.authenticator.gate.open()
    assert (await client.expect(p.Connack)).code == code


async def test_the_persistent_sessions_of_a_user_are_bounded(world, credential):
    await world.start(sessions_per_user=2)
    for suffix in "ab":
        await (await world.device(f"alice:phone:{suffix}", clean=False)).disconnect()
    third = await world.raw()
    await third.send(p.Connect("alice:phone:c", clean=False, **credential("alice:phone:c")))
    assert await third.closed() == [p.Connack(session_present=False, code=NOT_AUTHORIZED)]
    await world.device("alice:phone:c")
    assert (await world.device("alice:phone:a", clean=False)).present
    await world.device("bob:phone", clean=False)


async def test_a_client_that_leaves_during_its_login_leaves_nothing(world, credential, until):
    await world.start()
    world.authenticator.gate.shut()
    client = await RawClient.open(world.port)
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    await until(lambda: world.authenticator.in_flight)
    client.cut()
    world.authenticator.gate.open()
    await until(lambda: world.broker.metrics.connections == 0)
    assert world.broker.metrics.sessions == 0


async def test_a_client_that_leaves_while_its_session_is_stored_finds_it_later(world, credential, until):
    await world.start()
    world.store.gate.shut()
    client = await RawClient.open(world.port)
    await client.send(p.Connect("alice:phone", clean=False, **credential("alice:phone")))
    await until(lambda: world.store.gate.waiting)
    world.broker._hub.end(next(iter(world.broker._hub.connections)))
    await client.closed()
    await client.close()
    world.store.gate.open()
    await until(lambda: world.store.sessions)
    assert (await world.device("alice:phone", clean=False)).present


async def test_a_clean_client_that_leaves_while_its_row_is_deleted_leaves_nothing(world, credential, until):
    await world.start()
    await (await world.device("alice:phone", clean=False)).disconnect()
    world.store.gate.shut()
    client = await RawClient.open(world.port)
    await client.send(p.Connect("alice:phone", **credential("alice:phone")))
    await until(lambda: world.store.gate.waiting)
    world.broker._hub.end(next(iter(world.broker._hub.connections)))
    await client.closed()
    await client.close()
    world.store.gate.open()
    await until(lambda: not world.store.sessions)
    await until(lambda: not world.broker._hub.sessions)


async def test_a_client_id_that_becomes_another_users_starts_a_new_session(world):
    world.authenticator.users.add("svc")
    await world.start()
    first = await world.device("alice:phone", clean=False)
    await first.subscribe(("pabal/v1/down/alice/phone", 1))
    await first.disconnect()
    world.broker._hub.sessions["alice:phone"].user = "somebody-else"
    again = await world.device("alice:phone", clean=False)
    assert not again.present
    assert not world.broker.subscriptions
