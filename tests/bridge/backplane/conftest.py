from collections.abc import Callable, Iterator

import pytest
from redis_server import BINARIES, RedisServer, link_to

from bridge.backplane.link import Link


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Iterator[Callable[[str], RedisServer]]:
    """A server of this product, started when the first test asks for it, with nothing in it."""
    started: dict[str, RedisServer] = {}

    def of(product: str) -> RedisServer:
        if product not in started:
            started[product] = RedisServer(tmp_path_factory.mktemp(product), product=product).start()
        started[product].ask("FLUSHALL")
        return started[product]

    yield of
    for server in started.values():
        server.close()


@pytest.fixture(params=sorted(BINARIES))
def server(request, fresh) -> RedisServer:
    """Whatever asks for it is tested with each product that is there."""
    return fresh(request.param)


@pytest.fixture
def own(tmp_path) -> Iterator[RedisServer]:
    """A Valkey of this test alone, to be done with as it likes."""
    made = RedisServer(tmp_path / "valkey").start()
    yield made
    made.close()


@pytest.fixture
def link(server: RedisServer) -> Iterator[Link]:
    made = link_to(server)
    yield made
    made.close()


@pytest.fixture(params=["here", *sorted(BINARIES)])
def shared(request, fresh) -> Iterator[Link | None]:
    """None for the twin that works in one process: both keep the same promises."""
    if request.param == "here":
        yield None
        return
    made = link_to(fresh(request.param))
    yield made
    made.close()
