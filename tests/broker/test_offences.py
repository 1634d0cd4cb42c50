"""What a client has no right to is refused; too much of it within a minute ends its connection, and only that."""

import pytest
from broker_client import RawClient

from broker.mqtt import packets as p
from broker.mqtt.reasons import Reason

LIMIT = 5
UP = "pabal/v1/up/alice/phone"


async def publish(client: RawClient):
    await client.publish("pabal/v1/up/bob/phone", b"x", 1)


async def subscribe(client: RawClient):
    assert await client.subscribe(("pabal/v1/inbox/bob", 0)) == b"\x80"


async def malformed(client: RawClient):
    await client.publish(UP, b"{", 1)


OFFENCES = {"publish": publish, "subscribe": subscribe, "payload": malformed}


@pytest.fixture
async def strict(world):
    """A limit of five, and an inbound that finds fault with what is no JSON, as the relay does."""
    submit = world.inbound.submit

    def judged(source, payload, form, ticket):
        if payload == b"{":
            ticket.offend()
        submit(source, payload, form, ticket)

    world.inbound.submit = judged
    await world.start(offence_limit=LIMIT)
    return world


@pytest.mark.parametrize("kind", OFFENCES)
async def test_one_less_than_the_limit_is_only_counted(strict, kind):
    client = await strict.device("alice:phone")
    for _ in range(LIMIT - 1):
        await OFFENCES[kind](client)
    await client.ping()
    assert strict.broker.metrics.offences_by == {kind: LIMIT - 1}


@pytest.mark.parametrize("kind", OFFENCES)
async def test_the_last_one_closes_that_connection_and_no_other(strict, kind):
    client, other = await strict.device("alice:phone"), await strict.device("bob:phone")
    for _ in range(LIMIT - 1):
        await OFFENCES[kind](client)
    last = {
        "publish": p.Publish("pabal/v1/up/bob/phone", b"x"),
        "subscribe": p.Subscribe(99, (("pabal/v1/inbox/bob", 0),)),
        "payload": p.Publish(UP, b"{"),
    }
    await client.send(last[kind])
    await client.closed()
    assert strict.broker.metrics.offences_by == {kind: LIMIT}
    await other.ping()


async def test_kinds_count_together(strict):
    client = await strict.device("alice:phone")
    for kind in ("publish", "subscribe", "payload", "publish"):
        await OFFENCES[kind](client)
    await client.send(p.Publish("pabal/v1/up/bob/phone", b"x"))
    await client.closed()
    assert strict.broker.metrics.offences == LIMIT


async def test_a_client_of_mqtt_5_is_told_why(strict):
    client = await strict.device("alice:phone", level=p.LEVEL_5)
    for _ in range(LIMIT):
        await client.send(p.Publish("pabal/v1/up/bob/phone", b"x"))
    *_, last = await client.closed()
    assert isinstance(last, p.Disconnect)
    assert last.reason == Reason.QUOTA_EXCEEDED


async def test_the_ticket_of_a_will_has_nobody_to_blame(strict):
    client = await strict.device("alice:phone", will=p.Will(UP, b"{"))
    other = await strict.device("bob:phone")
    client.cut()
    while b"{" not in strict.inbound.payloads():
        await other.ping()
    assert strict.broker.metrics.offences == 0
