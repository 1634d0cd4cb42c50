"""HTTP for the services: one client of httpx2 for all, HTTP/2 where the server has it, by the endpoint rules.

Nothing of the environment counts here (no proxies, no .netrc): behind a proxy no address could be checked.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

import httpcore2
import httpx2

from push.endpoints import EndpointRules
from push.guarded_network import GuardedNetwork, PrivateAddressError
from push.posting import PostFailed, Reply

# What is kept of an answer; longer ones are cut, and their connection is closed.
MAX_REPLY_BYTES: Final = 16 * 1024
_CONNECTIONS: Final = 128
_KEEP_ALIVE_S: Final = 300.0


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
        http2: bool = True,
    ) -> None:
        self._patience = patience
        self._timeouts = {
            "connect": patience.connect,
            "read": patience.read,
            "write": patience.write,
            "pool": patience.pool,
        }
        transport = _GuardedTransport(rules, context or httpx2.create_ssl_context(), http2=http2)
        self._client = httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """Raises: PostFailed."""
        request = httpx2.Request(
            "POST", url, headers=dict(headers), content=content, extensions={"timeout": self._timeouts}
        )
        try:
            async with asyncio.timeout(self._patience.total):
                response = await self._client.send(request, stream=True)
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
        return Reply(response.status_code, dict(response.headers), body, response.http_version)

    async def close(self) -> None:
        await self._client.aclose()


async def _beginning(response: httpx2.Response) -> bytes:
    kept = bytearray()
    # Raw, so that nobody unpacks a small answer into a huge one here.
    async for chunk in response.aiter_raw():
        kept += chunk
        if len(kept) >= MAX_REPLY_BYTES:
            break
    return bytes(kept[:MAX_REPLY_BYTES])


def _words(error: Exception) -> str:
    """`ConnectTimeout` as "connect timeout"."""
    name = type(error).__name__
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """As httpx2's own, over a network that checks addresses, which that one cannot be given."""

    def __init__(self, rules: EndpointRules, context: ssl.SSLContext, *, http2: bool) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_S,
            http1=True,
            http2=http2,
            network_backend=GuardedNetwork(rules),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = await self._pool.handle_async_request(asked)
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Stream(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
