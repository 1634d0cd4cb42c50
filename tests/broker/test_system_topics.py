"""The topics under $SYS: for admins, with the values that operators know from other brokers."""

import pytest

from broker.system_topics import SystemTopics, _Load

FAST = 0.02


async def values(client, *filters):
    """What is retained there, by topic without its root."""
    assert set(await client.subscribe(*((one, 0) for one in filters))) == {0}
    return {one.topic.removeprefix("$SYS/broker/"): one.payload for one in await client.until_pong()}


async def test_who_subscribes_is_told_what_there_is_and_later_what_changes(world):
    await world.open(sys_interval=FAST)
    client = await world.client("c")
    found = await values(client, "$SYS/#")
    assert found["version"].startswith(b"pabal version ")
    assert found["uptime"].endswith(b" seconds")
    for name in (
        "clients/connected", "clients/total", "clients/maximum", "clients/expired", "clients/disconnected",
        "messages/received", "messages/sent", "messages/stored", "publish/messages/received",
        "publish/messages/sent", "publish/messages/dropped", "bytes/received", "bytes/sent",
        "subscriptions/count", "retained messages/count",
    ):  # fmt: skip
        assert found[name].isdigit(), name
    await world.client("another")
    seen = {}
    while seen.get("clients/connected") != b"2":
        packet = await client.next()
        seen[packet.topic.removeprefix("$SYS/broker/")] = packet.payload
        assert not packet.retain


async def test_the_figures_are_those_of_the_traffic(world):
    broker = await world.open()
    topics = SystemTopics(broker._hub)
    client = await world.client("c")
    await client.subscribe(("t", 1))
    await client.publish("kept", b"x", 1, retain=True)
    await client.publish("nobody", b"x", 1)
    topics.publish()
    said = {name: int(value) for name, value in topics._said.items() if value.isdigit()}
    assert said["clients/connected"] == said["clients/total"] == said["clients/maximum"] == 1
    assert said["subscriptions/count"] == 1
    assert said["publish/messages/received"] == 2
    # CONNECT, SUBSCRIBE and two PUBLISH came; each was answered.
    assert said["messages/received"] == said["messages/sent"] == 4
    assert said["bytes/received"] > said["bytes/sent"] > 0
    assert said["retained messages/count"] == 1


async def test_what_has_not_changed_is_not_said_again(world):
    broker = await world.open()
    topics = SystemTopics(broker._hub)
    client = await world.client("c")
    await client.subscribe(("$SYS/broker/version", 0))
    topics.publish()
    topics.publish()
    assert len(await client.until_pong()) == 1


async def test_a_load_is_a_rate_a_minute_that_forgets():
    load = _Load(100)
    first = dict(load.step(160, 60))
    assert first["1min"] == pytest.approx(60 * (1 - 1 / 2.718281828), rel=1e-3)
    assert first["1min"] > first["5min"] > first["15min"] > 0
    for _ in range(20):
        last = load.step(160, 60)
    assert last["1min"] < 0.01


@pytest.mark.parametrize("wanted", ["$SYS/#", "$SYS/broker/uptime", "$SYS/broker/+"])
async def test_only_admins_may_read_them(world, wanted):
    await world.start(sys_interval=FAST)
    plain = await world.device("alice:phone")
    assert await plain.subscribe((wanted, 0)) == b"\x80"
    world.authenticator.admin = True
    admin = await world.device("bob:phone")
    assert b"pabal version" in b"".join((await values(admin, "$SYS/broker/version")).values())
    assert await admin.subscribe((wanted, 0), ("#", 0)) == b"\0\x80"


async def test_nobody_writes_them(world):
    await world.open(sys_interval=FAST)
    client = await world.client("c")
    await client.publish("$SYS/broker/version", b"mine", 1, retain=True)
    assert (await values(client, "$SYS/broker/version"))["version"] != b"mine"


async def test_there_are_none_where_they_are_turned_off(world):
    await world.open(sys_interval=0)
    client = await world.client("c")
    assert await values(client, "$SYS/#") == {}
