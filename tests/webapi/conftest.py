"""The application over real accounts and a relay that lives in memory; Alice and Bob have signed up."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from account_fakes import PASSWORD, FakeClock, World, open_world
from flask.testing import FlaskClient
from webapi_fakes import FakeChat

from bridge.backplane.plane import NullPlane
from bridge.people_reads import PeopleReads
from bridge.push_reads import PushReads
from bridge.store.read_store import ReadStore
from webapi.app import Services, close_app, create_app
from webapi.settings import BrokerEndpoint, WebSettings

BROKER = BrokerEndpoint(tcp="mqtt://127.0.0.1:1883", ws="ws://127.0.0.1:8083/mqtt")


class Web:
    """Somebody at the other end of the HTTP connection, with or without a credential."""

    def __init__(self, client: FlaskClient, world: World, chat: FakeChat, clock: FakeClock) -> None:
        self.client = client
        self.world = world
        self.chat = chat
        self.clock = clock
        self.app = client.application

    def call(self, method: str, path: str, json=None, *, token: str | None = None, **more):
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        headers.update(more.pop("headers", {}))
        if json is not None:
            more["json"] = json
        return self.client.open(path, method=method, headers=headers, **more)

    def login(self, user: str = "alice", device: str = "phone") -> str:
        return self.world.accounts.log_in(user, PASSWORD, device).access_token

    def secret(self, user: str = "alice", device: str = "sensor", allow: list[str] | None = None) -> str:
        return self.world.accounts.add_device(user, PASSWORD, device, allow).secret


Open = Callable[..., Web]


@pytest.fixture
def open_web(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        world = stack.enter_context(open_world(tmp_path))
        for name in ("alice", "bob"):
            world.accounts.sign_up(name, PASSWORD)

        def make(**options) -> Web:
            chat, clock = FakeChat(), FakeClock()
            chat.people = PeopleReads(ReadStore(world.store._reader))
            chat.pushes = PushReads(ReadStore(world.store._reader))
            settings = WebSettings(brokers=(BROKER,), **{"wake_interval_s": 0.01, **options})
            app = create_app(Services(world.accounts, chat, chat, NullPlane(clock)), settings)
            stack.callback(close_app, app)
            return Web(app.test_client(), world, chat, clock)

        yield make


@pytest.fixture
def web(open_web: Open) -> Web:
    return open_web()
