"""Connections of httpx2 that go to exactly the address that was checked.

A name is resolved once, each address is held against the rules, and the connection is made to one that passed: a
name that means another address a moment later (DNS rebinding) gains nothing.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import httpcore2
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

from push.endpoints import EndpointRules
from push.loop_network import LoopNetwork
from push.names import Names

# Of one name; each has its share of the time.
_MOST_ADDRESSES: Final = 4
_DEFAULT_S: Final = 5.0

Options = Iterable[tuple[Any, ...]]


class PrivateAddressError(httpcore2.ConnectError):
    """The name has none but addresses that are not to be reached."""


class GuardedNetwork(AsyncNetworkBackend):
    """TCP for a connection pool, by rules."""

    def __init__(self, rules: EndpointRules, names: Names, inner: AsyncNetworkBackend | None = None) -> None:
        """`names` stay the caller's."""
        self._rules = rules
        self._names = names
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
        addresses = await self._names.addresses(host, port, within)
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
