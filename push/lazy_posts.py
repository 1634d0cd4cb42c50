"""HTTP that is there from the first push on: a server that sends none never loads an HTTP client."""

from collections.abc import Mapping
from pathlib import Path

from push.endpoints import EndpointRules
from push.posting import Posts, Reply


class LazyPosts:
    """A `Posts`. `ca`: a PEM file of CAs that are trusted beside those of the system."""

    def __init__(self, rules: EndpointRules, ca: Path | None = None) -> None:
        self._rules = rules
        self._ca = ca
        self._made: Posts | None = None

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """Raises: PostFailed."""
        if self._made is None:
            self._made = self._make()
        return await self._made.post(url, headers, content)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    def _make(self) -> Posts:
        from httpcore2 import default_ssl_context  # noqa: PLC0415 -- what this module is for

        from push.http_posts import HttpPosts  # noqa: PLC0415 -- likewise

        context = default_ssl_context()
        if self._ca is not None:
            context.load_verify_locations(self._ca)
        return HttpPosts(self._rules, context=context)
