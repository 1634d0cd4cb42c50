"""Sessions, retained messages and positions outlive the process; so does what was not published."""

import asyncio

import msgspec
from bridge_fakes import FakeBroker
from sqlalchemy import text

from bridge.build import Bridge
from bridge.ports import Retained, StoredSession
from pabal.ids import DeviceId, UserId

ALICE, BOB, D = UserId("alice"), UserId("bob"), DeviceId("d")


async def reopened(url: str) -> tuple[Bridge, FakeBroker]:
    bridge, broker = Bridge(url), FakeBroker()
    await bridge.start(broker)
    return bridge, broker


async def test_a_session_is_there_again_after_a_restart(harness, url):
    session = StoredSession("bob:d", BOB, D, {"pabal/v1/inbox/bob": 1}, None, 5)
    assert await harness.bridge.sessions.save_session(session, at_head=False) is None
    bridge, _ = await reopened(url)
    assert await bridge.sessions.load_sessions() == [session]
    await bridge.sessions.delete_session("bob:d")
    assert await bridge.sessions.load_sessions() == []
    await bridge.stop()


async def test_a_session_at_the_head_starts_after_everything_of_its_own_batch(harness):
    for number in range(3):
        harness.submit("alice", {"id": f"{number}", "to": "bob", "text": "x"})
    session = StoredSession("bob:d", BOB, D, {"pabal/v1/inbox/bob": 1})
    position = await harness.bridge.sessions.save_session(session, at_head=True)
    assert position == 3
    assert [seq for seq, _update in harness.broker.inboxes["bob"]] == [1, 2, 3]
    await harness.ask("alice", {"id": "after", "to": "bob", "text": "x"})
    page = await harness.bridge.inbox.read_inbox(BOB, position, 10)
    assert [seq for seq, _payload in page.updates] == [4]


async def test_a_session_at_the_head_of_an_empty_inbox_starts_at_zero(harness):
    session = StoredSession("bob:d", BOB, D, {})
    assert await harness.bridge.sessions.save_session(session, at_head=True) == 0


async def test_a_position_is_kept_with_its_session_and_moves_the_devices_cursor(harness, url, engine):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "x"})
    await harness.bridge.sessions.save_session(StoredSession("bob:d", BOB, D, {}, 0), at_head=False)
    harness.bridge.sessions.moved("bob:d", BOB, D, 1)
    await harness.bridge.stop()
    bridge, _ = await reopened(url)
    [session] = await bridge.sessions.load_sessions()
    assert session.position == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT cursor FROM device WHERE user_id = 'bob'")).scalar_one() == 1
    await bridge.stop()


async def test_retained_messages_are_kept_replaced_and_cleared(harness):
    sessions = harness.bridge.sessions
    await sessions.save_retained(Retained("t", b"\x00\xff", 1))
    await sessions.save_retained(Retained("t", b"two", 0))
    await sessions.save_retained(Retained("u", b"x", 1))
    assert sorted(r.topic for r in await sessions.load_retained()) == ["t", "u"]
    await sessions.save_retained(Retained("u", b"", 1))
    assert await sessions.load_retained() == [Retained("t", b"two", 0)]


async def test_the_inbox_is_read_on_from_a_position(harness):
    for number in range(5):
        await harness.ask("alice", {"id": f"{number}", "to": "bob", "text": f"{number}"})
    page = await harness.bridge.inbox.read_inbox(BOB, 2, 2)
    assert (page.head, page.min_seq) == (5, 1)
    assert [seq for seq, _payload in page.updates] == [3, 4]
    assert [msgspec.json.decode(payload) for _seq, payload in page.updates] == [
        update for seq, update in harness.broker.inboxes["bob"] if seq in {3, 4}
    ]
    end = await harness.bridge.inbox.read_inbox(BOB, 5, 2)
    assert (end.updates, end.head) == ([], 5)


async def test_an_inbox_position_older_than_what_is_kept_gives_no_updates(harness, engine):
    for number in range(5):
        await harness.ask("alice", {"id": f"{number}", "to": "bob", "text": "x"})
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM inbox WHERE user_id = 'bob' AND seq < 4"))
        connection.execute(text("UPDATE inbox_head SET min_seq = 4 WHERE user_id = 'bob'"))
    page = await harness.bridge.inbox.read_inbox(BOB, 1, 10)
    assert (page.updates, page.head, page.min_seq) == ([], 5, 4)


async def test_what_was_committed_but_not_published_is_published_at_the_next_start(harness, url, engine):
    await harness.ask("alice", {"id": "1", "to": "bob", "text": "one"})
    await harness.ask("alice", {"id": "2", "to": "bob", "text": "two"})
    await harness.bridge.stop()
    with engine.begin() as connection:  # as if the process had died between COMMIT and publish
        connection.execute(
            text("INSERT INTO outbox (batch_id, ranges) VALUES (7, :r)"), {"r": '{"alice":[2,2],"bob":[1,2]}'}
        )
    bridge, broker = await reopened(url)
    assert broker.inboxes == {
        "alice": [harness.broker.inboxes["alice"][1]],
        "bob": harness.broker.inboxes["bob"],
    }
    await bridge.stop()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 0


async def test_batch_ids_go_on_above_what_the_outbox_holds(url, engine):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO outbox (batch_id, ranges) VALUES (7, '{}')"))
    bridge, _broker = await reopened(url)
    assert bridge.relay._committer._store.last_batch > 7
    await bridge.stop()


async def test_the_epoch_stays_the_same_over_restarts(harness, url):
    bridge, _ = await reopened(url)
    assert bridge.reads.epoch == harness.bridge.reads.epoch
    assert len(bridge.reads.epoch) == 8
    await bridge.stop()


async def test_changes_of_other_processes_end_live_connections(harness, engine):
    insert = text(
        "INSERT INTO change_log (kind, user_id, device_id, credential, reason, ts)"
        " VALUES ('kicked', :u, :d, 's1', :r, 0)"
    )
    with engine.begin() as connection:
        connection.execute(insert, {"u": "bob", "d": "d", "r": "logout"})
        connection.execute(insert, {"u": "carol", "d": None, "r": "disabled"})
    await harness.broker.until(lambda: len(harness.broker.kicked) == 2)
    assert harness.broker.kicked == [
        ("bob", "d", "logout", "s1"),
        ("carol", None, "disabled", "s1"),
    ]


async def test_changes_from_before_the_start_are_of_the_past(url, engine):
    insert = text("INSERT INTO change_log (kind, user_id, reason, ts) VALUES ('kicked', :u, 'logout', 0)")
    with engine.begin() as connection:
        connection.execute(insert, {"u": "bob"})
    bridge, broker = await reopened(url)
    with engine.begin() as connection:
        connection.execute(insert, {"u": "carol"})
    await broker.until(lambda: broker.kicked)
    assert broker.kicked == [("carol", None, "logout", None)]
    await bridge.stop()


async def test_a_deleted_device_loses_its_sessions_and_one_that_came_back_keeps_them(harness, engine):
    insert = text("INSERT INTO change_log (kind, user_id, device_id, ts) VALUES ('gone', :u, :d, 0)")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM device WHERE user_id IN ('bob', 'carol')"))
        for user, device in (("alice", "d"), ("bob", "d"), ("carol", None)):
            connection.execute(insert, {"u": user, "d": device})
    await harness.broker.until(lambda: len(harness.broker.forgotten) == 2)
    assert harness.broker.forgotten == [("bob", "d"), ("carol", None)]
    assert harness.broker.kicked == []


async def test_sessions_of_devices_that_were_deleted_meanwhile_are_gone_after_a_restart(harness, url):
    for client_id, user, device in (("bob:d", BOB, D), ("bob:e", BOB, DeviceId("e")), ("plain", None, None)):
        await harness.bridge.sessions.save_session(StoredSession(client_id, user, device), at_head=False)
    await harness.bridge.stop()
    bridge, _ = await reopened(url)
    assert sorted(row.client_id for row in await bridge.sessions.load_sessions()) == ["bob:d", "plain"]
    await bridge.stop()


async def test_changes_that_cannot_be_read_are_told_once_and_read_when_they_can(harness, engine, caplog):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE change_log RENAME TO elsewhere"))
    async with asyncio.timeout(60):
        while "changes cannot be read" not in caplog.text:
            await asyncio.sleep(0.01)
        asked = harness.bridge._changes._poll
        again: list[bool] = []

        def poll():
            again.append(True)
            return asked()

        harness.bridge._changes._poll = poll
        while len(again) < 3:
            await asyncio.sleep(0.01)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO change_log"))
        connection.execute(
            text("INSERT INTO change_log (kind, user_id, reason, ts) VALUES ('kicked', 'bob', 'logout', 0)")
        )
    await harness.broker.until(lambda: harness.broker.kicked)
    assert harness.broker.kicked == [("bob", None, "logout", None)]
    assert caplog.text.count("changes cannot be read") == 1
    assert caplog.text.count("changes are read again") == 1
