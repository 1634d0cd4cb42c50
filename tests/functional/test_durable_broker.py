"""`pabal broker --open --data`, killed with -9: what was acknowledged is delivered, and at QoS 2 once."""

import os
import re
import signal
import subprocess
import sys

import pytest
from broker_client import Closed, RawClient

from broker.mqtt import packets as p

pytestmark = pytest.mark.functional

READY = re.compile(r"^pabal ready mqtt=\S+:(\d+)\n$")
COUNT = 60


class Server:
    """The same folder for one process after the other."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.port = 0

    def start(self):
        assert self.process is None or self.process.poll() is not None, "the one before still runs"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "broker", "--open", "--mqtt", "127.0.0.1:0", "--data", self.folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = READY.match(self.process.stdout.readline())
        assert ready is not None
        self.port = int(ready[1])

    def end(self, with_signal):
        os.kill(self.process.pid, with_signal)
        self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "data")
    made.start()
    yield made
    made.process.kill()
    made.process.communicate()


async def test_what_was_acknowledged_is_there_after_a_kill(server):
    sleeper = await RawClient.connect(server.port, "sleeper", clean=False)
    await sleeper.subscribe(("t/#", 2))
    await sleeper.disconnect()
    publisher = await RawClient.connect(server.port, "publisher")
    await publisher.publish("t/kept", b"kept", 1, retain=True)
    await publisher.send(*(p.Publish("t/1", b"%d" % n, 1, packet_id=n + 10) for n in range(COUNT)))
    for number in range(COUNT):
        assert await publisher.next() == p.Puback(number + 10)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    await publisher.close()

    server.start()
    sleeper = await RawClient.connect(server.port, "sleeper", clean=False)
    assert sleeper.present
    got = await sleeper.publishes(COUNT + 1)
    assert [one.payload for one in got] == [b"kept", *(b"%d" % n for n in range(COUNT))]
    assert await sleeper.until_pong() == []
    await sleeper.disconnect()
    late = await RawClient.connect(server.port, "late")
    await late.subscribe(("#", 1))
    assert [(one.topic, one.retain) for one in await late.publishes(1)] == [("t/kept", True)]
    await late.disconnect()

    # An ordinary stop keeps the session as well, and has nothing to deliver a second time.
    assert server.end(signal.SIGTERM) == 0
    server.start()
    sleeper = await RawClient.connect(server.port, "sleeper", clean=False)
    assert sleeper.present
    assert await sleeper.until_pong() == []
    await sleeper.disconnect()


class Sender:
    """Publishes at QoS 2 and, after a reconnect, does what MQTT asks of a client: whatever is not over again."""

    def __init__(self):
        self.publishing = {n: b"%d" % n for n in range(1, COUNT + 1)}
        self.released = {}

    async def run(self, port, kill_after):
        """Returns False if the server went before all was over."""
        client = await RawClient.connect(port, "sender", clean=False)
        await client.send(*(p.Pubrel(n) for n in self.released))
        again = client.present
        await client.send(
            *(p.Publish("t", payload, 2, dup=again, packet_id=n) for n, payload in self.publishing.items())
        )
        try:
            while self.publishing or self.released:
                match await client.next():
                    case p.Pubrec(packet_id):
                        self.publishing.pop(packet_id, None)
                        self.released[packet_id] = True
                        await client.send(p.Pubrel(packet_id))
                    case p.Pubcomp(packet_id):
                        self.released.pop(packet_id, None)
                if kill_after() is not None:
                    return False
        except (Closed, ConnectionError):
            return False
        finally:
            await client.close()
        return True


class Receiver:
    """Takes each packet identifier once until it is released."""

    def __init__(self):
        self.held = set()
        self.got = []

    async def run(self, port):
        client = await RawClient.connect(port, "receiver", clean=False)
        try:
            while len(self.got) < COUNT or self.held:
                match await client.next():
                    case p.Publish(payload=payload, packet_id=packet_id):
                        if packet_id not in self.held:
                            self.held.add(packet_id)
                            self.got.append(int(payload))
                        await client.send(p.Pubrec(packet_id))
                    case p.Pubrel(packet_id):
                        self.held.discard(packet_id)
                        await client.send(p.Pubcomp(packet_id))
        except (Closed, ConnectionError):
            pass
        finally:
            await client.close()


async def test_at_qos_2_every_message_comes_once_over_two_kills(server):
    receiver = await RawClient.connect(server.port, "receiver", clean=False)
    await receiver.subscribe(("t", 2))
    await receiver.disconnect()
    sender, taker = Sender(), Receiver()

    def after(left):
        return lambda: server.end(signal.SIGKILL) if len(sender.publishing) <= left else None

    assert not await sender.run(server.port, after(40))
    server.start()
    assert not await sender.run(server.port, after(20))
    server.start()
    assert await sender.run(server.port, lambda: None)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    await taker.run(server.port)
    assert taker.got == list(range(1, COUNT + 1))
