"""A whole bridge over a database that is stopped, cut off and killed: nothing is acknowledged that is not stored,
nothing is stored twice, and all goes on without a restart.
"""

import asyncio

import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness, populate
from postgres import running
from postgres_proxy import PostgresProxy
from sqlalchemy import make_url, text

from bridge.build import Bridge
from bridge.store.engine import open_engine
from bridge.store.lease import PostgresLease

ALL = text("SELECT text FROM direct_message ORDER BY conv_id, message_id")


def texts(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.execute(ALL).scalars().all()
    engine.dispose()
    return found


@pytest.fixture
def url(postgres):
    made = postgres.fresh(postgres.template("populated", populate))
    yield made
    postgres.give_back(made)


async def harness_over(url, **options):
    bridge, broker = Bridge(url, **options), FakeBroker()
    await bridge.start(broker)
    return Harness(bridge, broker)


def end_all_sessions(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()


async def test_sessions_that_an_administrator_ends_cost_nobody_anything(url, caplog):
    lease = PostgresLease(url)
    assert lease.acquire()
    harness = await harness_over(url, lease=lease)
    assert (await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"}))["ok"]
    end_all_sessions(url)
    while (reply := await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"}))["ok"] is False:
        assert reply["error"] == "unavailable"  # while the lock is being taken again
    assert (reply["message_id"], reply["dup"]) == (2, False)
    await harness.bridge.stop()
    lease.release()
    assert texts(url) == ["one", "two"]
    assert caplog.text.count("nothing can be committed") <= 1


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_to_commit_doubles_nothing_also_without_an_id(postgres, url, arrives):
    proxy = PostgresProxy(postgres.folder)
    harness = await harness_over(proxy.url(url.split("/")[3].split("?")[0]))
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "first"})
    (proxy.cut_after_commit if arrives else proxy.cut_before_commit).set()
    ticket = harness.submit("alice", {"to": "bob", "text": "no id"})
    assert await harness.settled(ticket) is True
    reply = await harness.ask("alice", {"id": "2", "to": "bob", "text": "last"})
    assert (reply["message_id"], reply["dup"]) == (3, False)
    await harness.bridge.stop()
    proxy.close()
    assert texts(url) == ["first", "no id", "last"]
    assert [seq for seq, _update in harness.broker.inboxes["bob"]] == [1, 2, 3], "each was delivered once"


async def test_a_postgresql_that_is_stopped_and_started_again_is_an_outage_and_no_more(caplog):
    with running() as postgres:
        url = postgres.fresh()
        populate(open_engine(url))
        lease = PostgresLease(url)
        assert lease.acquire()
        harness = await harness_over(url, lease=lease)
        assert (await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"}))["ok"]
        postgres.stop()
        for _ in range(3):
            refused = await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"})
            assert (refused["error"], refused["retry_after"]) == ("unavailable", 1)
        without_id = harness.submit("alice", {"to": "bob", "text": "not kept"})
        assert await harness.settled(without_id) is False
        postgres.start()
        while not (reply := await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"}))["ok"]:
            assert reply["error"] == "unavailable"
        assert (reply["message_id"], reply["dup"]) == (2, False)
        await harness.bridge.stop()
        lease.release()
        assert texts(url) == ["one", "two"]
        assert caplog.text.count("nothing can be committed") == 1
        assert caplog.text.count("the database commits again") == 1


async def test_a_network_that_swallows_everything_holds_nobody_for_long_and_doubles_nothing(
    postgres, url, caplog
):
    proxy = PostgresProxy(postgres.folder)
    harness = await harness_over(proxy.url(make_url(url).database))
    relay = harness.bridge.relay
    patience = relay._stalled_s
    assert (await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"}))["ok"]
    # What is sent next is to be in flight alone: nothing is left to write of what was published.
    while relay._anything_left():
        await asyncio.sleep(0.01)
    proxy.flowing.clear()
    relay._stalled_s = 0.3
    on_its_way = harness.submit("alice", {"id": "2", "to": "bob", "text": "two"})
    without_id = harness.submit("alice", {"to": "bob", "text": "three"})
    while not harness.bridge.relay._is_stalled():
        await asyncio.sleep(0.01)
    refused = await harness.ask("carol", {"id": "1", "to": "bob", "text": "not kept"})
    assert (refused["error"], refused["retry_after"]) == ("unavailable", 1)
    assert (on_its_way.settled, without_id.settled) == ([], []), "whether they are stored is not known"
    harness.bridge.relay._stalled_s = patience  # a slow machine is no silent one
    proxy.flowing.set()
    assert await harness.settled(on_its_way) is True
    assert await harness.settled(without_id) is True
    reply = await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"})
    assert (reply["message_id"], reply["dup"]) == (2, True)
    await harness.bridge.stop()
    proxy.close()
    assert texts(url) == ["one", "two", "three"]
    assert [seq for seq, _update in harness.broker.inboxes["bob"]] == [1, 2, 3]
    assert "Traceback" not in caplog.text


async def test_a_server_that_was_paused_and_replaced_is_told_and_commits_nothing(url):
    """The first does not notice that it lost the lock before it commits: the transaction itself refuses."""
    first = await harness_over(url)
    assert (await first.ask("alice", {"id": "1", "to": "bob", "text": "one"}))["ok"]
    second = await harness_over(url)
    assert (await second.ask("alice", {"id": "2", "to": "bob", "text": "two"}))["ok"]
    assert (await first.ask("alice", {"id": "3", "to": "bob", "text": "three"}))["error"] == "unavailable"
    await first.bridge.lost()
    await first.bridge.stop()
    assert (await second.ask("alice", {"id": "3", "to": "bob", "text": "three"}))["message_id"] == 3
    await second.bridge.stop()
    assert texts(url) == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["id", "kind", "text"])
async def test_a_character_that_cannot_be_kept_is_refused_and_spoils_no_batch(url, name):
    harness = await harness_over(url)
    good = harness.submit("bob", {"id": "g", "to": "alice", "text": "good"})
    bad = await harness.ask("alice", {"id": "1", "to": "bob", "text": "x", name: "a\0b"})
    assert (bad["error"], bad["detail"].split(":")[0]) == ("bad_request", name)
    assert await harness.settled(good) is True
    await harness.bridge.stop()
    assert texts(url) == ["good"]
