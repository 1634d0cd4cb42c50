"""Whose requests are taken that come through another broker."""

import asyncio

import pytest
from external_fakes import FakeAccounts

from bridge.ports import Source
from broker.external.rights import Rights
from pabal.acl import EVERYTHING


@pytest.fixture
def accounts():
    return FakeAccounts()


@pytest.fixture
async def rights(accounts):
    made = Rights(accounts, most=3)
    yield made
    await made.stop()


async def answer(rights, user="alice", device="phone"):
    found = asyncio.get_running_loop().create_future()
    rights.ask(user, device, found.set_result)
    return await asyncio.wait_for(found, 60)


async def test_a_device_is_looked_up_once_and_then_known(rights, accounts):
    accounts.allow["alice", "phone"] = frozenset({"send"})
    assert await answer(rights) == Source("alice", "phone", frozenset({"send"}))
    at_once = []
    rights.ask("alice", "phone", at_once.append)
    assert at_once == [Source("alice", "phone", frozenset({"send"}))]
    assert accounts.asked == [("alice", "phone")]


async def test_a_device_that_has_logged_out_may_do_nothing(rights, accounts):
    accounts.gone.add(("alice", "phone"))
    assert await answer(rights) == Source("alice", "phone", frozenset())
    assert await answer(rights, device="tablet") == Source("alice", "tablet", EVERYTHING)


async def test_what_comes_while_it_is_looked_up_waits_in_order(rights, accounts):
    accounts.gate.clear()
    order = []
    for number in range(3):
        rights.ask("alice", "phone", lambda source, n=number: order.append((n, source.user)))
    await asyncio.sleep(0)
    assert order == []
    accounts.gate.set()
    await answer(rights)
    assert order == [(0, "alice"), (1, "alice"), (2, "alice")]
    assert len(accounts.asked) == 1


async def test_after_a_logout_it_is_looked_up_again(rights, accounts):
    await answer(rights)
    accounts.gone.add(("alice", "phone"))
    assert (await answer(rights)).allow == EVERYTHING, "not told yet"
    rights.doubt("alice", "phone")
    assert (await answer(rights)).allow == frozenset()


async def test_after_the_end_of_an_account_all_its_devices_are(rights, accounts):
    for device in ("phone", "tablet"):
        await answer(rights, device=device)
        accounts.gone.add(("alice", device))
    await answer(rights, "bob")
    rights.doubt("alice", None)
    for device in ("phone", "tablet"):
        assert (await answer(rights, device=device)).allow == frozenset()
    await answer(rights, "bob")
    assert accounts.asked.count(("bob", "phone")) == 1


@pytest.mark.parametrize("device", ["phone", None])
async def test_a_logout_while_it_is_looked_up_is_not_forgotten(rights, accounts, device):
    accounts.gate.clear()
    waiting = asyncio.create_task(answer(rights))
    while not accounts.asked:
        await asyncio.sleep(0)
    accounts.gone.add(("alice", "phone"))
    rights.doubt("alice", device)
    accounts.gate.set()
    await waiting
    assert (await answer(rights)).allow == frozenset()


async def test_while_the_database_is_away_nothing_is_decided_or_remembered(rights, accounts):
    accounts.away = True
    assert await answer(rights) is None
    accounts.away = False
    assert (await answer(rights)).allow == EVERYTHING


async def test_no_more_devices_are_remembered_than_there_may_be(rights, accounts):
    for number in range(4):
        await answer(rights, device=f"d{number}")
    assert len(rights) == 3
    await answer(rights, device="d3")
    await answer(rights, device="d0")
    assert accounts.asked.count(("alice", "d3")) == 1
    assert accounts.asked.count(("alice", "d0")) == 2


async def test_what_was_known_for_a_minute_is_looked_up_again(accounts):
    rights = Rights(accounts, good_for_s=0)
    await answer(rights)
    await answer(rights)
    assert len(accounts.asked) == 2
    await rights.stop()
