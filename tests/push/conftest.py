"""A push service over HTTP/2 to send to, and a client that trusts it."""

import pytest
import pytest_asyncio
from h2_peer import H2Peer
from h2_talk import met
from push_stand_in import standing_in
from push_talk import NOW

from push.endpoints import EndpointRules
from push.http_posts import HttpPosts, Patience

LOCAL = EndpointRules(frozenset({"localhost", "127.0.0.1"}))


class Clock:
    """Stands unless a test moves it; in seconds."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def standing(tmp_path_factory):
    with standing_in(tmp_path_factory.mktemp("push")) as made:
        yield made


@pytest.fixture
def service(standing):
    """As new for each test, which would have to wait for a server of its own."""
    standing.reset()
    return standing


@pytest.fixture
def rules():
    return LOCAL


@pytest_asyncio.fixture
async def posts(service):
    made = HttpPosts(LOCAL, context=service.trusting())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def hasty(service):
    """One who does not wait long."""
    patience = Patience(connect=0.5, write=0.5, read=0.5, pool=0.5, total=2.0)
    made = HttpPosts(LOCAL, context=service.trusting(), patience=patience)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def peer():
    return H2Peer()


@pytest_asyncio.fixture
async def connection(peer):
    made = await met(peer)
    yield made
    await made.aclose()
