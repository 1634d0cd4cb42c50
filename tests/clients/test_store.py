import os
import sqlite3
import subprocess
import sys
import time

import pytest

from pabal_client.effects import Entry, RoomMark, Take
from pabal_client.errors import StoreError, StoreInUse
from pabal_client.store import Store
from pabal_client.updates import Update


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "alice.db"


def reopen(path):
    return Store(path, "alice", "phone")


def update(seq):
    return Update(seq, "e1", "message", b'{"seq":%d}' % seq)


def test_a_new_store_is_empty_and_for_its_owner_alone(path):
    with reopen(path) as store:
        assert store.position() == (None, 0)
        assert store.outbox() == []
        assert store.waiting() == []
        assert store.backlog() == 0
        assert path.stat().st_mode & 0o777 == 0o600
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_the_outbox_keeps_its_order_and_what_was_discarded_is_gone(path):
    entries = [Entry(f"m{n}", b"payload", "alice~bob", durable=True) for n in range(4)]
    with reopen(path) as store:
        for entry in [*entries, entries[0]]:
            store.keep(entry)
        store.note([], ["m1", "unknown"])
    with reopen(path) as store:
        assert store.outbox() == [entries[0], entries[2], entries[3]]


def test_updates_wait_until_they_are_taken_and_the_position_moves_with_them(path):
    with reopen(path) as store:
        store.note([Take((update(1), update(2)), "e1", 2), Take((update(3),), "e1", 3)])
    with reopen(path) as store:
        assert store.position() == ("e1", 3)
        first, second, third = store.waiting()
        assert [first.update, second.update, third.update] == [update(1), update(2), update(3)]
        assert store.waiting(limit=1) == [first]
        store.taken(second.place)
        assert store.backlog() == 1
    with reopen(path) as store:
        assert store.waiting() == [third]


def test_a_position_without_updates_is_kept_too(path):
    with reopen(path) as store:
        store.note([Take((), "e1", 0)])
        assert store.position() == ("e1", 0)


def test_updates_and_position_are_kept_both_or_neither(path):
    with reopen(path) as store:
        with pytest.raises(StoreError):
            store.note([Take((update(1), Update(2, None, "x", b"")), "e1", 2)])
        assert store.position() == (None, 0)
        assert store.waiting() == []
        store.note([Take((update(1),), "e1", 1)])
        assert store.backlog() == 1


def room_take(position, *message_ids, conv="g1"):
    updates = tuple(Update(None, "e1", "message", b'{"message_id":%d}' % n) for n in message_ids)
    return Take(updates, "e1", 7, (RoomMark(conv, position),))


def test_positions_in_rooms_move_with_their_entries_and_end_with_the_group(path):
    with reopen(path) as store:
        assert store.rooms() == {}
        store.note([room_take(4), room_take(5, 5), room_take(9, conv="g2")])
    with reopen(path) as store:
        assert store.rooms() == {"g1": 5, "g2": 9}
        assert store.position() == ("e1", 7)
        (received,) = store.waiting()
        assert (received.update.seq, received.update.payload) == (None, b'{"message_id":5}')
        store.note([room_take(6, 6), room_take(None)])
        store.note([room_take(None, conv="g2"), room_take(11, conv="g2")])
    with reopen(path) as store:
        assert store.rooms() == {"g2": 11}
        assert store.backlog() == 2


def test_a_position_in_a_room_and_its_entries_are_kept_both_or_neither(path):
    with reopen(path) as store:
        with pytest.raises(StoreError):
            store.note([Take((Update(None, None, "x", b""),), "e1", 7, (RoomMark("g1", 5),))])
        assert store.rooms() == {}
        store.note([room_take(5)])
        assert store.rooms() == {"g1": 5}


def test_a_file_of_the_first_version_goes_on_where_it_was(path):
    with reopen(path) as store:
        store.note([Take((update(1),), "e1", 1)])
    db = sqlite3.connect(path)
    db.execute("DROP TABLE room")
    db.execute("PRAGMA user_version = 1")
    db.close()
    for _ in range(2):
        with reopen(path) as store:
            assert (store.position(), store.backlog(), store.rooms()) == (("e1", 1), 1, {})


def test_connections_are_counted_over_the_life_of_the_file(path):
    with reopen(path) as store:
        assert [store.next_connection(), store.next_connection()] == [1, 2]
    with reopen(path) as store:
        assert store.next_connection() == 3


def test_a_second_user_of_the_file_is_refused_until_the_first_lets_go(path):
    with reopen(path), pytest.raises(StoreInUse, match="in use by another process"):
        reopen(path)
    reopen(path).close()


def test_closing_twice_is_no_error_but_use_after_it_is_one(path):
    store = reopen(path)
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.position()


def test_the_file_of_another_device_is_refused(path):
    reopen(path).close()
    with pytest.raises(StoreError, match="belongs to alice/phone, not to alice/tablet"):
        Store(path, "alice", "tablet")
    with pytest.raises(StoreError, match="not to bob/phone"):
        Store(path, "bob", "phone")
    reopen(path).close()


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path):
    reopen(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        reopen(path)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (99,)
    db.close()


def test_what_is_no_database_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be looked at as if it were one" * 100)
    with pytest.raises(StoreError, match="cannot use"):
        reopen(path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        reopen(tmp_path / "file" / "alice.db")
    with pytest.raises(StoreError, match="cannot open"):
        reopen(tmp_path)


CHILD = """
import os, sys, time
from pathlib import Path
from pabal_client.effects import Entry, Take
from pabal_client.store import Store
from pabal_client.updates import Update
store = Store(Path(sys.argv[1]), "alice", "phone")
for n in range(1, 1_000_000):
    store.keep(Entry(f"m{n}", b"x", "alice~bob", durable=True))
    store.note([Take((Update(n, "e1", "message", b"{}"),), "e1", n)])
    os.write(1, b"%d\\n" % n)
"""


def test_a_killed_process_loses_nothing_that_it_was_told_is_kept(path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, os.fspath(path)], stdout=subprocess.PIPE)
    with child:
        told = [int(child.stdout.readline()) for _ in range(20)]
        child.kill()
        told += [int(line) for line in child.stdout.read().splitlines()]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            store = reopen(path)
        except StoreInUse:
            continue
        break
    with store:
        kept = [int(entry.id[1:]) for entry in store.outbox()]
        assert kept[: len(told)] == told
        epoch, cursor = store.position()
        assert (epoch, cursor) == ("e1", store.backlog())
        assert cursor >= told[-1]


def test_only_what_was_taken_does_not_wait_for_the_disk(path):
    with reopen(path) as store:
        said = []
        store._db.set_trace_callback(said.append)
        store.taken(1)
        assert [line.split()[:2] for line in said] == [
            ["PRAGMA", "synchronous"],
            ["DELETE", "FROM"],
            ["PRAGMA", "synchronous"],
        ]
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,), "what is received next does"
