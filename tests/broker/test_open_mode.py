"""The open broker, with clients that are not ours."""

import asyncio
import shutil
import threading

import paho.mqtt.client as paho
import pytest
from broker_client import RawClient
from paho.mqtt.enums import CallbackAPIVersion

from broker.build import MQTT_LISTENER
from broker.mqtt import packets as p
from broker.open_mode import build_open_broker, is_loopback


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:1883", True),
        ("127.1.2.3:0", True),
        ("[::1]:1883", True),
        ("localhost:1883", True),
        ("0.0.0.0:1883", False),
        (":1883", False),
        ("1883", False),
        ("192.0.2.1:1883", False),
        ("example.org:1883", False),
    ],
)
async def test_only_this_machine_may_reach_it(address, local):
    assert is_loopback(address) == local
    if not local:
        with pytest.raises(ValueError, match="loopback"):
            build_open_broker(mqtt=address)
        with pytest.raises(ValueError, match="loopback"):
            build_open_broker(mqtt="127.0.0.1:0", ws=address)


async def test_a_denied_filter_is_checked_when_it_is_given():
    with pytest.raises(ValueError, match="a/#/b"):
        build_open_broker(mqtt="127.0.0.1:0", deny=["a/#/b"])


async def test_denied_filters_are_nobodys(world):
    await world.open(deny=("test/nosubscribe", "secret/#"))
    client = await world.client("c", username="anybody")
    wanted = ("test/nosubscribe", "secret/a", "secret/#", "secret/+", "secret", "#", "test/+")
    assert await client.subscribe(*((name, 0) for name in wanted)) == b"\x80\x80\x80\x80\x80\x00\x00"
    for topic in ("secret/a", "secret", "test/nosubscribe", "$SYS/x"):
        await client.publish(topic, b"x", 1, retain=True)
    await client.send(p.Publish("test/ok", b"x"))
    assert [one.topic for one in await client.until_pong()] == ["test/ok"]
    assert world.broker.metrics.offences_by == {"subscribe": 5, "publish": 4}


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_paho_talks_to_paho(world, qos):
    await world.open()
    got: list[bytes] = []
    there = threading.Event()
    subscribed = threading.Event()

    def on_message(_client, _userdata, message):
        got.append(message.payload)
        if len(got) == 50:
            there.set()

    def chat() -> None:
        receiver = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho-r")
        receiver.on_message = on_message
        receiver.on_subscribe = lambda *_: subscribed.set()
        sender = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho-s", clean_session=False)
        for client in (receiver, sender):
            client.connect("127.0.0.1", world.port)
            client.loop_start()
        receiver.subscribe("chat/#", qos)
        assert subscribed.wait(60)
        for number in range(50):
            sender.publish("chat/room", b"%d" % number, qos).wait_for_publish(60)
        assert there.wait(60)
        for client in (receiver, sender):
            client.disconnect()
            client.loop_stop()

    await asyncio.to_thread(chat)
    assert got == [b"%d" % number for number in range(50)]


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="mosquitto-clients is not installed")
async def test_mosquittos_clients_talk_to_each_other(world, until):
    await world.open()

    async def run(*command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command, "-h", "127.0.0.1", "-p", str(world.port), stdout=asyncio.subprocess.PIPE
        )

    sub = await run("mosquitto_sub", "-t", "a/#", "-q", "2", "-C", "4", "-W", "120", "-v")
    await until(lambda: world.broker.subscriptions)
    for qos in ("0", "1", "2"):
        pub = await run("mosquitto_pub", "-t", f"a/{qos}", "-q", qos, "-m", f"hi {qos}")
        assert await pub.wait() == 0
    pub = await run("mosquitto_pub", "-t", "a/kept", "-r", "-m", "kept")
    assert await pub.wait() == 0
    out, _ = await sub.communicate()
    assert out.decode().splitlines() == ["a/0 hi 0", "a/1 hi 1", "a/2 hi 2", "a/kept kept"]
    late = await run("mosquitto_sub", "-t", "a/kept", "-C", "1", "-W", "120")
    assert await late.communicate() == (b"kept\n", None)


async def test_without_settings_it_answers_as_suites_of_others_expect():
    broker = build_open_broker(mqtt="127.0.0.1:0")
    await broker.start()
    try:
        client = await RawClient.open(broker.bound[MQTT_LISTENER][1])
        await client.raw(bytes.fromhex("10 0e 00 04 4d 51 54 54 05 02 00 3c 00 00 01 61"))
        reader = client._reader
        assert await reader.readexactly(11) == bytes.fromhex("20 09 00 00 06 22 00 0a 21 00 14")
        await client.raw(bytes.fromhex("82 00"))
        # A reason code, and no words.
        assert await reader.readexactly(3) == bytes.fromhex("e0 01 81")
        await client.close()
        silent = await RawClient.open(broker.bound[MQTT_LISTENER][1])
        await silent.raw(bytes.fromhex("10 0e 00 04 4d 51 54 54 05 03 00 3c 00 00 01 61"))
        assert await silent.closed() == []
        await silent.close()
        later = await RawClient.connect(broker.bound[MQTT_LISTENER][1], "b", level=5, keep_alive=120)
        assert later.connack is not None
        assert later.connack.properties.server_keep_alive == 60
        await later.close()
    finally:
        await broker.shutdown()


@pytest.mark.parametrize(
    "packet",
    [
        p.Subscribe(1, (("a/#/b", 0),)),
        p.Subscribe(1, (("/" * 201, 0),)),
        p.Unsubscribe(1, ("a+",)),
        p.Publish("/" * 201, b"x"),
    ],
    ids=["filter", "levels", "unsubscribe", "publish"],
)
async def test_strict_about_topics_it_ends_the_connection(world, packet):
    await world.open(strict_topics=True)
    client = await world.client("a", level=5)
    await client.send(p.Subscribe(1, (("/" * 200, 0),)))
    assert (await client.expect(p.Suback)).codes == b"\x00"
    await client.send(packet)
    (last,) = await client.closed()
    assert last.reason == 0x81
