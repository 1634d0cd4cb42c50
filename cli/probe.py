"""Small questions to an HTTP server, without an HTTP client."""

import asyncio
import contextlib

from cli.address import Address

_PAUSE_S = 0.05
_ANSWER_S = 5.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- looked for, not listened on
OK = 200


def reachable(address: Address) -> Address:
    """An address to connect to, for one that is listened on."""
    return Address(_WILDCARDS.get(address.host, address.host), address.port)


async def get_status(address: Address, path: str) -> int:
    """The status of a GET.

    Raises: OSError (TimeoutError too) if nothing answers there within 5 s; ValueError if that is no HTTP.
    """
    async with asyncio.timeout(_ANSWER_S):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    protocol, _, rest = line.partition(b" ")
    if not protocol.startswith(b"HTTP/"):
        raise ValueError("no HTTP answer")
    return int(rest[:3])


async def until_ready(address: Address, path: str = "/readyz") -> None:
    """Returns when a GET is answered with 200. Tries for ever: the caller bounds it."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            if await get_status(address, path) == OK:
                return
        await asyncio.sleep(_PAUSE_S)
