from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from account_fakes import PASSWORD, World, open_world


@pytest.fixture(params=["sqlite", "postgresql"])
def open_accounts(request, tmp_path: Path) -> Iterator[Callable[..., AbstractContextManager[World]]]:
    """Opens accounts on an empty database; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        yield lambda **options: open_world(tmp_path, **options)
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.fresh()
    yield lambda **options: open_world(tmp_path, url, **options)
    postgres.give_back(url)


@pytest.fixture
def world(open_accounts) -> Iterator[World]:
    """Alice and Bob have signed up."""
    with open_accounts() as world:
        for name in ("alice", "bob"):
            world.accounts.sign_up(name, PASSWORD)
        yield world
