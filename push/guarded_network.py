"""Connections of httpx2 that go to exactly the address that was checked.

A name is resolved once, each address is held against the rules, and the connection is made to one that passed: a
name that means another address a moment later (DNS rebinding) gains nothing.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, Final

import httpcore2
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

from push.endpoints import EndpointRules
from push.loop_network import LoopNetwork

# Of one name; each has its share of the time.
_MOST_ADDRESSES: Final = 4
_DEFAULT_S: Final = 5.0

Options = Iterable[tuple[Any, ...]]


class PrivateAddressError(httpcore2.ConnectError):
    """The name has none but addresses that are not to be reached."""


class GuardedNetwork(AsyncNetworkBackend):
    """TCP for a connection pool, by rules."""

    def __init__(self, rules: EndpointRules, inner: AsyncNetworkBackend | None = None) -> None:
        self._rules = rules
        self._inner = inner or LoopNetwork()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> AsyncNetworkStream:
        """Raises: PrivateAddressError; httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        within = _DEFAULT_S if timeout is None else timeout
        addresses = await self._resolved(host, port, within)
        admitted = [address for address in addresses if self._rules.admits(host, address)][:_MOST_ADDRESSES]
        if not admitted:
            raise PrivateAddressError(f"{host} is at a private address")
        for address in admitted[:-1]:
            try:
                return await self._connect(
                    address, port, within / len(admitted), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._connect(admitted[-1], port, within / len(admitted), local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _connect(
        self, address: str, port: int, within: float, local_address: str | None, options: Any
    ) -> AsyncNetworkStream:
        return await self._inner.connect_tcp(
            address, port, timeout=within, local_address=local_address, socket_options=options
        )

    @staticmethod
    async def _resolved(host: str, port: int, within: float) -> list[str]:
        """Raises: httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} could not be resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
