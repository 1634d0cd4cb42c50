import sqlite3
import threading
from contextlib import closing

import pytest
from migrated import migrated_sqlite

from bridge.store import maintenance, schema
from bridge.store.engine import open_engine, sqlite_url
from bridge.store.unusable import UnusableDatabase

CONVERSATION = "INSERT INTO conversation (conv_id, kind, mode, head, ordinal, created_ts) VALUES ('{0}', '{1}', 'small', {2}, {2}, 1)"
MESSAGE = (
    "INSERT INTO {0}_message (conv_id, message_id, sender, device, digest, type, kind, ordinal, text, ts)"
    " VALUES ('{1}', {2}, 'a1', 'd', '', 'message', 'text', {2}, 'hi', 1)"
)
UPDATE = "INSERT INTO inbox (user_id, seq, type, conv_id, message_id, ts) VALUES ('{0}', {1}, 'message', '{2}', {3}, 1)"
HEAD = "INSERT INTO inbox_head (user_id, head, min_seq) VALUES ('{0}', {1}, {2})"
MEMBER = (
    "INSERT INTO member (conv_id, user_id, from_id, visible_from, role, delivered_upto, read_upto, read_ordinal)"
    " VALUES ('{0}', '{1}', 1, 1, 'member', {2}, {3}, 0)"
)
DEVICE = (
    "INSERT INTO device (user_id, device_id, cursor, allow, created_ts) VALUES ('{0}', 'd', {1}, 'send', 1)"
)
GROUP = "gaaaaaaaaaaaa"
SOUND = (
    CONVERSATION.format("a1~b1", "direct", 2),
    MESSAGE.format("direct", "a1~b1", 1),
    MESSAGE.format("direct", "a1~b1", 2),
    CONVERSATION.format(GROUP, "group", 1),
    MESSAGE.format("group", GROUP, 1),
    MEMBER.format("a1~b1", "b1", 2, 2),
    HEAD.format("b1", 3, 1),
    UPDATE.format("b1", 1, "a1~b1", 1),
    UPDATE.format("b1", 2, "a1~b1", 2),
    UPDATE.format("b1", 3, GROUP, 1),
    DEVICE.format("b1", 3),
    # An inbox of which nothing is kept any more.
    HEAD.format("c1", 7, 8),
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "pabal.sqlite3"


@pytest.fixture
def database(file):
    migrated_sqlite(file.parent)

    def execute(*statements):
        with closing(sqlite3.connect(file)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    execute(*SOUND)
    return execute


def breaches(file):
    engine = open_engine(sqlite_url(file.parent), read_only=True)
    try:
        return {finding.rule: finding.breaches for finding in maintenance.check(engine) if finding.breaches}
    finally:
        engine.dispose()


@pytest.mark.usefixtures("database")
def test_a_sound_database_breaks_no_rule(file):
    assert breaches(file) == {}


@pytest.mark.parametrize(
    ("damage", "rule", "place"),
    [
        ("DELETE FROM direct_message WHERE message_id = 1", "message_ids of a direct", "a1~b1"),
        ("UPDATE conversation SET head = 3 WHERE kind = 'direct'", "message_ids of a direct", "a1~b1"),
        ("UPDATE conversation SET head = 2 WHERE kind = 'group'", "message_ids of a group", GROUP),
        ("DELETE FROM conversation WHERE kind = 'group'", "every message is in a conversation", GROUP),
        ("DELETE FROM inbox WHERE seq = 2", "seqs of an inbox are dense", "b1"),
        ("UPDATE inbox_head SET min_seq = 2 WHERE user_id = 'b1'", "seqs of an inbox are dense", "b1"),
        ("UPDATE inbox_head SET min_seq = 7 WHERE user_id = 'c1'", "seqs of an inbox are dense", "c1"),
        ("DELETE FROM inbox_head WHERE user_id = 'b1'", "every update is in an inbox that has a head", "b1"),
        ("DELETE FROM group_message", "every message that an inbox points to", "b1 seq 3"),
        ("UPDATE member SET read_upto = 3", "nobody has read beyond", "a1~b1 b1"),
        (MEMBER.format(GROUP, "b1", 0, 0), "a group that has members has one owner", GROUP),
        (f"INSERT INTO mention VALUES ('{GROUP}', 'b1', 2)", "whatever names somebody", f"b1 {GROUP} 2"),
        (
            (
                "INSERT INTO invite (code, conv_id, created_by, device, digest, created_ts, uses, used)"
                f" VALUES ('k', '{GROUP}', 'a1', 'd', '', 1, 1, 2)"
            ),
            "no link was used more often",
            "k",
        ),
        ("UPDATE device SET cursor = 4", "no device's cursor is beyond", "b1 d"),
    ],
)
def test_each_broken_promise_is_found_where_it_is(file, database, damage, rule, place):
    database(damage)
    found = [places for name, places in breaches(file).items() if name.startswith(rule)]
    assert found == [[place]]


@pytest.mark.usefixtures("database")
def test_a_damaged_file_is_found(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_member_user_id_conv_id'"
        ).fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as raw:
        # The index now says that it has no entries.
        raw.seek((page - 1) * size + 3)
        raw.write(b"\0\0")
    assert "the file is sound" in breaches(file)


def damage(file) -> None:
    """Only what is read seldom: no page of the schema, nor of what a start asks for."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'direct_message'"
        ).fetchone()
    with file.open("r+b") as pages:
        pages.seek((page - 1) * page_size)
        pages.write(b"\xff" * page_size)


@pytest.mark.usefixtures("database")
def test_a_damage_that_a_start_would_not_meet_is_found_by_a_look(file, monkeypatch):
    engine = open_engine(sqlite_url(file.parent), read_only=True)
    maintenance.look_over(engine)
    engine.dispose()
    damage(file)
    schema.check_current(engine)
    with pytest.raises(UnusableDatabase, match=f"{file} is not a usable database: Page [0-9]+: "):
        maintenance.look_over(engine)
    monkeypatch.setattr(maintenance, "LOOKED_OVER_BYTES", file.stat().st_size - 1)
    maintenance.look_over(engine)
    engine.dispose()


def test_many_breaches_are_cut(file, database):
    database(*(CONVERSATION.format(f"a1~z{n:03}", "direct", 1) for n in range(50)))
    assert [len(places) for places in breaches(file).values()] == [maintenance._SHOWN]


def test_an_old_schema_is_not_checked(file):
    with closing(sqlite3.connect(file)):
        pass
    engine = open_engine(sqlite_url(file.parent), read_only=True)
    with pytest.raises(schema.SchemaError, match="this version needs"):
        maintenance.check(engine)
    engine.dispose()


@pytest.mark.usefixtures("database")
def test_a_backup_beside_a_writer_is_one_moment_of_it(file, tmp_path):
    stop = threading.Event()

    def write():
        number = 2
        with closing(sqlite3.connect(file)) as connection:
            while not stop.is_set():
                number += 1
                with connection:
                    connection.execute(MESSAGE.format("direct", "a1~b1", number))
                    connection.execute(f"UPDATE conversation SET head = {number} WHERE kind = 'direct'")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copy = tmp_path / "copy" / "pabal.sqlite3"
        copy.parent.mkdir()
        size = maintenance.backup(file, copy)
    finally:
        stop.set()
        writer.join()
    assert size == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    assert breaches(copy) == {}
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("database")
def test_a_backup_takes_nobodys_place(file, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    with pytest.raises(FileExistsError):
        maintenance.backup(file, target)
    assert target.read_text() == "precious"


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "broken.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.Error):
        maintenance.backup(tmp_path / "broken.sqlite3", tmp_path / "copy.sqlite3")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.sqlite3"]
