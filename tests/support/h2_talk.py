"""Pushes over one HTTP/2 connection to a peer that a test speaks for."""

import asyncio

import httpcore2
from h2_peer import H2Peer

from push.http2_connection import Http2Connection

ORIGIN = httpcore2.Origin(b"https", b"push.example", 443)
PATIENT = {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}
# So short that it is over before anything can come, and not so short that it is over before it begins.
HASTY = 0.05


def push_request(content: bytes = b"body", path: bytes = b"/a", *more, **hurry: float) -> httpcore2.Request:
    return httpcore2.Request(
        "POST",
        httpcore2.URL(scheme=b"https", host=b"push.example", port=None, target=path),
        headers=[(b"host", b"push.example"), (b"ttl", b"5"), *more],
        content=content,
        extensions={"timeout": PATIENT | hurry},
    )


async def met(peer: H2Peer, keep_alive_s: float = 60.0) -> Http2Connection:
    """Both have said hello."""
    connection = Http2Connection(ORIGIN, peer, keep_alive_s)
    await connection.open(1.0)
    peer.greet()
    await peer.until(lambda: len(peer.writes) > 1)
    return connection


def ask(connection: Http2Connection, *args, **hurry) -> "asyncio.Task[httpcore2.Response]":
    return asyncio.create_task(connection.handle_async_request(push_request(*args, **hurry)))


async def asked(peer: H2Peer, count: int) -> list[int]:
    await peer.until(lambda: len(peer.asked) >= count)
    return peer.asked
