import asyncio

import pytest

from cli.load import pairs
from cli.load.pairs import Load, due_of, updates_in
from cli.load.tally import Tally
from cli.load.wire import Device, LoadError, Person, connect, packet, string

ALICE = Person("alice", "phone", "secret")
UPDATE = b'{"seq":%d,"epoch":"e","text":"%019dxx"}'


@pytest.fixture
async def broker():
    """`broker(answer)` takes connections, gives what each says to `answer`, and writes what that returns."""
    servers = []

    async def start(answer):
        async def serve(reader, writer):
            while data := await reader.read(65_536):
                writer.write(answer(data))
            writer.close()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        return servers[-1].sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def alice():
    """`alice(*topics)` gives a device; it is closed at the end."""
    made = []

    def make(*topics):
        made.append(Device(ALICE, topics))
        return made[-1]

    yield make
    for device in made:
        device.close()
        device.ready.cancel()
    await asyncio.sleep(0)  # a closed transport lets go of its socket in the loop's next turn


def test_an_update_and_an_array_of_them_are_taken_apart():
    one, two = UPDATE % (1, 5), UPDATE % (2, 6)
    assert updates_in(one) == [one]
    assert updates_in(b"[" + one + b"," + two + b"]") == [one, two]


def test_the_time_a_message_was_due_is_read_from_its_text():
    update = UPDATE % (1, 12_345)
    assert due_of(update, update.index(b'"text"')) == 12_345


class Written(list):
    write = list.append

    def close(self):
        pass


async def test_packets_that_come_in_pieces_are_put_together_and_acknowledged(alice):
    heard, device = [], alice()
    device.transport = Written()
    device.published = heard.append
    whole = packet(0x32, string("t") + b"\x01\x02" + b"hello" * 40) + packet(0x30, string("t") + b"twice")
    for place in range(len(whole)):
        device.data_received(whole[place : place + 1])
    assert heard == [b"hello" * 40, b"twice"]
    assert device.transport == [b"\x40\x02\x01\x02"]


async def test_a_login_that_is_refused_ends_the_measurement(broker, alice):
    port = await broker(lambda _data: b"\x20\x02\x00\x05")
    with pytest.raises(LoadError, match="did not let alice in: code 5"):
        await connect([alice()], "127.0.0.1", port)


async def test_a_subscription_that_is_refused_ends_the_measurement(broker, alice):
    port = await broker(lambda data: b"\x20\x02\x00\x00" if data[0] == 0x10 else b"\x90\x03\x00\x01\x80")
    with pytest.raises(LoadError, match="subscription of alice"):
        await connect([alice(("pabal/v1/inbox/bob", 1))], "127.0.0.1", port)


async def test_a_connection_that_is_closed_before_it_stands_ends_the_measurement(broker, alice):
    port = await broker(lambda _data: b"")
    device = alice()
    connecting = asyncio.create_task(connect([device], "127.0.0.1", port))
    while device.transport is None:
        await asyncio.sleep(0)
    device.transport.abort()
    with pytest.raises(LoadError, match="closed"):
        await connecting


@pytest.mark.parametrize("by_reply", [False, True])
async def test_a_message_is_accepted_with_its_acknowledgement_or_with_its_reply(by_reply):
    tally = Tally()
    sender = pairs.Sender(tally, ALICE, "to", "bob", Load(window=2, by_reply=by_reply))
    sender.transport, sender.sending = Written(), True
    sender.fill()
    sender.data_received(b"\x40\x02\x00\x01")
    assert (tally.sent, tally.accepted) == ((2, 0) if by_reply else (3, 1))
    sender.data_received(packet(0x30, string("t") + b'{"re":"1","ok":true}'))
    assert (tally.sent, tally.accepted) == (3, 1)
    sender.data_received(packet(0x30, string("t") + b'{"re":"2","ok":false}'))
    assert (tally.refused, tally.accepted) == (1, 2 if by_reply else 1)
    sender.ready.cancel()


async def test_too_few_people_for_the_pairs_are_told():
    with pytest.raises(LoadError, match="2 pairs need 4 people, not 1"):
        await pairs.run([ALICE], "127.0.0.1", 1, Load(pairs=2))
