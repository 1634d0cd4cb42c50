"""HTTP for the services: one pool of connections for all, HTTP/2 where the server has it, by the endpoint rules.

It is httpx2's own pool without its client, which costs a push more than what it does for one: redirects, cookies,
logins and bodies that are unpacked are not wanted here. Nothing of the environment counts (no proxies, no .netrc):
behind a proxy no address could be checked.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

import httpcore2

from push.connections import PushConnections
from push.endpoints import EndpointRules
from push.guarded_network import GuardedNetwork, PrivateAddressError
from push.names import Names
from push.posting import MAX_REPLY_BYTES, PostFailed, Reply

_CONNECTIONS: Final = 128
_KEEP_ALIVE_S: Final = 300.0
# What may stand in a path or query as it is; a % too, because what is quoted already stays so.
_OF_TARGETS: Final = "%/?:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for each phase of a post, and for all of it."""

    connect: float = 5.0
    write: float = 5.0
    read: float = 10.0
    pool: float = 10.0
    total: float = 20.0


class HttpPosts:
    """A `Posts`. Used in one event loop; close it there."""

    def __init__(
        self,
        rules: EndpointRules,
        *,
        context: ssl.SSLContext | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._patience = patience
        self._timeouts = {
            "connect": patience.connect,
            "read": patience.read,
            "write": patience.write,
            "pool": patience.pool,
        }
        self._names = Names()
        self._pool = PushConnections(
            context or httpcore2.default_ssl_context(),
            GuardedNetwork(rules, self._names),
            most=_CONNECTIONS,
            keep_alive_s=_KEEP_ALIVE_S,
        )

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """Raises: PostFailed."""
        try:
            request = _request(url, headers, content, self._timeouts)
            async with asyncio.timeout(self._patience.total):
                response = await self._pool.handle_async_request(request)
                try:
                    body = await _beginning(response)
                finally:
                    await response.aclose()
        except PrivateAddressError as error:
            raise PostFailed(str(error), refused=True) from None
        except (httpcore2.TimeoutException, TimeoutError) as error:
            raise PostFailed(f"no answer in time ({_words(error)})") from None
        except Exception as error:  # noqa: BLE001 -- what a broken or hostile server can bring about in there is anything
            raise PostFailed(f"{_words(error)}: {error}" if str(error) else _words(error)) from None
        answered = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        return Reply(response.status, answered, body, response.extensions["http_version"].decode())

    async def close(self) -> None:
        await self._pool.aclose()
        self._names.close()


def _request(
    url: str, headers: Mapping[str, str], content: bytes, timeouts: Mapping[str, float]
) -> httpcore2.Request:
    parts = urlsplit(url)
    host, place = (parts.hostname or "").encode("ascii"), parts.netloc.removesuffix(":").encode("ascii")
    target = quote(parts.path or "/", _OF_TARGETS)
    if parts.query:
        target += "?" + quote(parts.query, _OF_TARGETS)
    asked = {b"host": place, b"user-agent": b"pabal"}
    for name, value in headers.items():
        if not value.isprintable():
            # In HTTP/2 it would end the connection, for all who share it.
            raise ValueError(f"{name} has characters that cannot be sent")
        asked[name.lower().encode("ascii")] = value.strip().encode("ascii")
    asked[b"content-length"] = b"%d" % len(content)
    address = httpcore2.URL(
        scheme=parts.scheme.encode("ascii"), host=host, port=parts.port, target=target.encode("ascii")
    )
    return httpcore2.Request(
        "POST", address, headers=list(asked.items()), content=content, extensions={"timeout": timeouts}
    )


async def _beginning(response: httpcore2.Response) -> bytes:
    kept = bytearray()
    async for chunk in response.aiter_stream():
        kept += chunk
        if len(kept) >= MAX_REPLY_BYTES:
            break
    return bytes(kept[:MAX_REPLY_BYTES])


def _words(error: Exception) -> str:
    """`ConnectTimeout` as "connect timeout"."""
    name = type(error).__name__
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()
