"""A pool's connection before there is one, and when there should be none any more."""

import asyncio
import ssl

import httpcore2
import pytest

from push.connections import PushConnections
from push.loop_network import LoopNetwork


async def test_one_that_is_not_made_yet_may_be_waited_for():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pool = PushConnections(context, LoopNetwork(), most=1, keep_alive_s=1.0)
    origin = httpcore2.Origin(b"https", b"push.example", 443)
    connection = pool.create_connection(origin)
    assert connection.can_handle_request(origin)
    assert connection.is_available()
    assert not any(
        (
            connection.is_connected(),
            connection.is_idle(),
            connection.has_expired(),
            connection.is_closed(),
            connection.can_multiplex(),
        )
    )
    assert connection.info() == "is being made"
    await connection.aclose()


class _Stubborn(httpcore2.AsyncMockStream):
    """Takes its time for its end."""

    may_end = None

    async def aclose(self):
        await self.may_end.wait()
        await super().aclose()


class _Network(httpcore2.AsyncNetworkBackend):
    def __init__(self, answer):
        self.streams = []
        self._answer = answer

    async def connect_tcp(self, *_, **__):
        self.streams.append(_Stubborn([self._answer]))
        self.streams[-1].may_end = asyncio.Event()
        return self.streams[-1]


@pytest.mark.parametrize("more", [b"", b"connection: close\r\n"], ids=["expired", "last"])
async def test_nobody_waits_for_the_end_of_a_connection_but_who_closes_all(more):
    network = _Network(b"HTTP/1.1 204 No Content\r\n" + more + b"\r\n")
    pool = PushConnections(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), network, most=1, keep_alive_s=-1.0)
    for _ in range(3):
        async with asyncio.timeout(5.0):
            response = await pool.request(
                "POST", "http://push.example/", extensions={"timeout": {"connect": 1.0}}
            )
        assert response.status == 204
    closing = asyncio.create_task(pool.aclose())
    for stream in network.streams:
        done, _ = await asyncio.wait([closing], timeout=0.01)
        assert not done
        stream.may_end.set()
    await closing
    assert all(stream._closed for stream in network.streams)
