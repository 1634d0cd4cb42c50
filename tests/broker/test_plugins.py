"""Plugins written the way amqtt documents them load from the configuration and get what they expect."""

import pytest
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import PluginError

from broker.mqtt import packets as p
from broker.server import PabalBroker

UP = "pabal/v1/up/alice/phone"


async def plain(world, **plugins):
    """A broker whose plugins are all somebody else's."""
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind="127.0.0.1:0")},
        plugins={
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
            **{f"broker_plugins.{name}": options for name, options in plugins.items()},
        },
    )
    return await world._started(PabalBroker(config, settings=world.settings))


async def test_events_come_in_order(world, until):
    log = []
    await plain(world, Recorder={"log": log})
    client = await world.client("c", username="u", password=b"pw")
    await client.subscribe(("t", 1), ("#/bad", 0))
    await client.publish("x", b"hello", 1, retain=True)
    await client.unsubscribe("t")
    await client.disconnect()
    await until(lambda: log[-1][0] == "disconnected")
    await world.kill()
    assert [entry for entry in log if entry[0] != "context"] == [
        ("pre_start",),
        ("post_start",),
        ("connected", "c", "u", "connected"),
        ("subscribed", "c", "t", 1),
        ("received", "c", "x", b"hello", True),
        ("broadcast", "c", "x"),
        ("retained", None, "x"),
        ("unsubscribed", "c", "t"),
        ("disconnected", "c", True),
        ("pre_shutdown",),
        ("post_shutdown",),
    ]


async def test_a_rule_of_somebody_else_on_what_is_sent_stands_beside_ours(world):
    asked = []
    down = "pabal/v1/down/alice/phone"
    world.plugins["broker_plugins.Filter"] = {"asked": asked, "denied": {("receive", "pabal/v1/live/alice")}}
    await world.start()
    client = await world.device("alice:phone")
    assert (
        await client.subscribe((down, 1), ("pabal/v1/live/alice", 1), ("pabal/v1/live/bob", 1))
        == b"\x01\x01\x80"
    )
    world.broker.publish("pabal/v1/live/alice", b"not for you", 1)
    world.broker.publish(down, b"for you", 1)
    assert [one.payload for one in await client.publishes(1)] == [b"for you"]
    await client.ping()


async def test_a_request_for_the_bridge_is_received_but_not_broadcast(world, until):
    log = []
    world.plugins["broker_plugins.Recorder"] = {"log": log}
    await world.start()
    client = await world.device("alice:phone")
    await client.publish(UP, b"{}", 1)
    await client.publish("foreign", b"{}", 1)
    await until(lambda: len([entry for entry in log if entry[0] == "received"]) == 2)
    assert not [entry for entry in log if entry[0] == "broadcast"]


@pytest.mark.parametrize("level", [4, 5])
async def test_packet_events_carry_packets_of_amqtt(world, until, level):
    log = []
    await plain(world, Packets={"log": log})
    client = await world.client("c", level=level)
    await client.publish("x", b"hello", 1)
    await client.send(p.Pingreq(), p.Disconnect())
    await client.closed()
    await until(lambda: len(log) == 7)
    assert [entry for entry in log if entry[0] == "in"] == [
        ("in", "ConnectPacket", None),
        ("in", "PublishPacket", "c"),
        ("in", "PingReqPacket", "c"),
        ("in", "DisconnectPacket", "c"),
    ]
    assert [entry[1] for entry in log if entry[0] == "out"] == [
        "ConnackPacket",
        "PubackPacket",
        "PingRespPacket",
    ]


async def test_plugins_reach_the_broker_through_their_context(world):
    log = []
    await plain(world, Recorder={"log": log})
    (context,) = [entry[1] for entry in log if entry[0] == "context"]
    client = await world.client("c")
    await client.subscribe(("t", 1))
    await context.broadcast_message("t", b"to all")
    await context.broadcast_message("t", b"lossy", 0)
    await context.retain_message("kept", b"value", 1)
    assert [(one.payload, one.qos) for one in await client.publishes(2)] == [(b"to all", 1), (b"lossy", 0)]
    await context.add_subscription("c", "kept", 1)
    assert [one.payload for one in await client.publishes(1)] == [b"value"]
    await context.add_subscription("later", "t", 1)
    await context.add_subscription("latest", None, None)
    await context.broadcast_message("t", b"waits", 1)
    await client.publishes(1)
    later = await world.client("later", clean=False)
    assert later.present
    assert [one.payload for one in await later.publishes(1)] == [b"waits"]
    assert {session.client_id for session in context.sessions} == {"c", "later", "latest"}
    assert context.get_session("c").transitions.state == "connected"
    assert context.get_session("latest").transitions.state == "disconnected"
    assert context.get_session("nobody") is None
    assert [(s.client_id, qos) for s, qos in context.subscriptions["t"]] == [("c", 1), ("later", 1)]
    assert context.retained_messages["kept"].data == b"value"
    await context.retain_message("kept", b"")
    assert not context.retained_messages


async def test_what_plugins_put_in_by_hand_must_be_ours(world):
    await world.open()
    with pytest.raises(TypeError):
        world.broker._sessions["x"] = (object(), None)
    with pytest.raises(TypeError):
        del world.broker._sessions["x"]
    assert len(world.broker.sessions) == 0


async def test_a_session_can_be_deleted(world):
    await world.start()
    client = await world.device("alice:phone", clean=False)
    await client.subscribe(("pabal/v1/live/alice", 0))
    await world.broker._delete_session("alice:phone")
    await client.closed()
    assert not world.store.sessions
    assert not world.broker.subscriptions
    await world.broker._delete_session("alice:phone")


async def test_any_no_keeps_a_client_out_and_a_crash_is_no_yes(world):
    seen = []
    world.plugins["broker_plugins.Doorman"] = {"banned": ["bob"], "seen": seen}
    world.authenticator.users.add("crash")
    await world.start()
    client = await world.device("alice:phone")
    await client.ping()
    session = world.broker.sessions["alice:phone"][0]
    assert session.attributes["doorman.met"] is True
    assert seen == [("alice", "phone-secret", "127.0.0.1")]
    assert session.password is None
    for name, code in (("bob:phone", 5), ("crash:phone", 3)):
        user, _, device = name.partition(":")
        other = await world.raw()
        await other.send(p.Connect(name, username=user, password=f"{device}-secret".encode()))
        assert await other.closed() == [p.Connack(session_present=False, code=code)]


async def test_nobody_comes_in_where_no_plugin_says_yes(world):
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind="127.0.0.1:0")}, plugins={"broker_plugins.Doorman": {}}
    )
    await world._started(PabalBroker(config, settings=world.settings))
    client = await world.raw()
    await client.send(p.Connect("c"))
    assert await client.closed() == [p.Connack(session_present=False, code=5)]


async def test_rules_are_asked_once_for_each_session_action_and_topic(world):
    asked = []
    denied = {("publish", "no"), ("subscribe", "no"), ("receive", "mute")}
    await plain(world, Filter={"asked": asked, "denied": denied})
    client = await world.client("c")
    assert await client.subscribe(("a", 1), ("no", 1), ("crash", 1), ("mute", 1), ("no/opinion", 0)) == (
        b"\x01\x80\x80\x01\x80"
    )
    publisher = await world.client("p")
    for topic in ("a", "no", "crash", "mute"):
        for number in range(5):
            await publisher.publish(topic, b"%d" % number, 1)
    got = await client.publishes(5)
    assert [(one.topic, one.payload) for one in got] == [("a", b"%d" % n) for n in range(5)]
    assert await client.until_pong() == []
    for question in set(asked):
        assert asked.count(question) == 1, question
    assert ("c", "a", "receive") in asked
    assert world.broker.metrics.offences_by == {"subscribe": 3, "publish": 10}


async def test_what_is_sent_while_a_rule_is_asked_keeps_its_order(world):
    asked = []
    await plain(world, Filter={"asked": asked, "denied": {("receive", "b")}})
    client = await world.client("c")
    await client.subscribe(("#", 1))
    publisher = await world.client("p")
    await publisher.send(*(p.Publish("abc"[n % 3], b"%d" % n, 1, packet_id=n + 1) for n in range(30)))
    got = await client.publishes(20)
    assert [int(one.payload) for one in got] == [n for n in range(30) if n % 3 != 1]


async def test_retained_messages_are_subject_to_what_may_be_received(world):
    asked = []
    await plain(world, Filter={"asked": asked, "denied": {("receive", "b")}})
    publisher = await world.client("p")
    for topic in "abc":
        await publisher.publish(topic, topic.encode(), 1, retain=True)
    client = await world.client("c")
    await client.subscribe(("#", 1))
    assert sorted(one.payload for one in await client.publishes(2)) == [b"a", b"c"]
    await client.ping()


async def test_a_plugin_that_does_not_load_is_an_error(world):
    world.plugins["broker_plugins.Missing"] = {}
    with pytest.raises(PluginError):
        await world.start()
    world.plugins = {"broker_plugins.Recorder": {"unknown": 1}}
    with pytest.raises(PluginError, match="unknown"):
        await world.start()


async def test_events_are_dropped_and_counted_when_a_plugin_is_too_slow(world):
    log = []
    await plain(world, Recorder={"log": log})
    for _ in range(10_500):
        world.broker._events.tell("broker_client_connected", client_id="x", client_session=None)
    assert world.broker.metrics.dropped_events >= 400
