"""The people of `tests/bridge/conftest.py`, with a bridge that takes push subscriptions."""

from collections.abc import AsyncIterator

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from message_talk import Clock
from push_world import AnyTargets, PushTalk

from bridge.build import Bridge
from bridge.store.push_store import PushStore


@pytest.fixture
async def push(url: str, engine) -> AsyncIterator[PushTalk]:
    """Groups are large from three members on."""
    clock = Clock()
    bridge, broker = Bridge(url, small_limit=2, faults=clock, push_targets=AnyTargets()), FakeBroker()
    store = PushStore.open(url)
    await bridge.start(broker)
    yield PushTalk(Harness(bridge, broker), clock, store, engine)
    await bridge.stop()
    store.close()
