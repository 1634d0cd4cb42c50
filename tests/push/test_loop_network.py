"""Connections on the loop's own transports, to a side that is slow, gone, or says too much."""

import asyncio
import contextlib

import httpcore2
import pytest
import pytest_asyncio

from push.loop_network import LoopNetwork

# More than any system keeps for a side that does not read.
MUCH = 32 * 1024 * 1024
HASTY = 0.05


class _Side:
    """The other one."""

    def __init__(self):
        self.came = asyncio.get_running_loop().create_future()

    def meet(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.came.set_result(None)


@pytest_asyncio.fixture
async def side():
    side = _Side()
    async with await asyncio.start_server(side.meet, "127.0.0.1", 0) as server:
        side.port = server.sockets[0].getsockname()[1]
        yield side
        side.writer.transport.abort()


@pytest_asyncio.fixture
async def stream(side):
    made = await LoopNetwork().connect_tcp("127.0.0.1", side.port, 5.0)
    await side.came
    yield made
    await made.aclose()


async def test_what_is_written_within_one_turn_goes_out_in_its_order(side, stream):
    for n in range(1000):
        await stream.write(b"%04d" % n)
    assert await side.reader.readexactly(4000) == b"".join(b"%04d" % n for n in range(1000))
    await stream.write(b"")
    await stream.write(b"x")
    assert await side.reader.read(10) == b"x"


async def test_reading_gives_what_is_there_and_its_end(side, stream):
    side.writer.write(b"abc")
    assert await stream.read(2, 5.0) == b"ab"
    assert await stream.read(2, 5.0) == b"c"
    assert not stream.get_extra_info("is_readable")
    side.writer.close()
    assert await stream.read(2, 5.0) == b""
    assert stream.get_extra_info("is_readable")


async def test_nothing_in_time_is_told(stream):
    with pytest.raises(httpcore2.ReadTimeout):
        await stream.read(2, HASTY)


async def test_a_side_that_does_not_read_is_waited_for_so_long(side, stream):
    with pytest.raises(httpcore2.WriteTimeout):
        await stream.write(b"x" * MUCH, HASTY)
    waiting = [asyncio.create_task(stream.write(b"y", 30.0)) for _ in range(2)]
    assert len(await side.reader.readexactly(MUCH)) == MUCH
    await asyncio.gather(*waiting)
    assert await side.reader.readexactly(2) == b"yy"


async def test_a_side_that_says_more_than_is_read_has_to_wait(side, stream):
    side.writer.write(b"x" * MUCH)
    draining = asyncio.create_task(side.writer.drain())
    read = len(await stream.read(1024, 5.0))
    done, _ = await asyncio.wait([draining], timeout=HASTY)
    assert not done
    while read < MUCH:
        read += len(await stream.read(1024 * 1024, 5.0))
    assert read == MUCH
    await draining


async def test_over_a_connection_that_broke_nothing_is_written_or_read(side, stream):
    side.writer.transport.abort()
    with contextlib.suppress(httpcore2.ReadError):
        assert await stream.read(1, 5.0) == b""
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"x")


async def test_who_waits_for_room_learns_of_the_end(side, stream):
    waiting = asyncio.create_task(stream.write(b"x" * MUCH, 30.0))
    await asyncio.sleep(0)
    side.writer.transport.abort()
    await waiting
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"y")


async def test_who_waits_for_room_does_not_wait_for_one_that_has_said_its_last_word(side, stream):
    waiting = asyncio.create_task(stream.write(b"x" * MUCH, 30.0))
    await asyncio.sleep(0)
    side.writer.write_eof()
    async with asyncio.timeout(10):
        await waiting
    with pytest.raises(httpcore2.WriteError):
        await stream.write(b"y")


async def test_nobody_there_is_told(side):
    network = LoopNetwork()
    stream = await network.connect_tcp("127.0.0.1", side.port, 5.0, local_address="127.0.0.1")
    assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
    assert stream.get_extra_info("server_addr")[1] == side.port
    await side.came
    await stream.aclose()
    with pytest.raises(httpcore2.ConnectError):
        await network.connect_tcp("127.0.0.1", 1, 5.0)
    await network.sleep(0)
