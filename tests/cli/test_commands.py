import json
import sqlite3
from contextlib import closing

import pytest

from cli.folder import Lock

PASSWORD = "correct horse\n"


def add(pabal, name, *more):
    done = pabal("user", "add", name, "--password-stdin", *more, stdin=PASSWORD)
    assert done.code == 0, done.err
    return done


def users(pabal):
    return {row["user"]: row for row in json.loads(pabal("user", "list", "--json").out)}


def test_the_first_account_makes_the_data_folder_and_the_database(pabal, tmp_path):
    add(pabal, "alice")
    assert (tmp_path / "pabal-data" / "pabal.sqlite3").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pabal-data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "command",
    [
        ["user", "list"],
        ["user", "passwd", "alice", "--password-stdin"],
        ["user", "disable", "alice"],
        ["user", "enable", "alice"],
        ["user", "delete", "alice", "--yes"],
        ["keys", "rotate"],
        ["db", "check"],
        ["db", "backup", "copy.sqlite3"],
    ],
)
def test_where_there_is_no_database_it_is_told_and_nothing_is_made(pabal, tmp_path, command):
    done = pabal(*command, stdin=PASSWORD)
    assert done.code == 1
    assert done.err.startswith("error: there is no database at pabal-data/pabal.sqlite3\nhint: ")
    assert list(tmp_path.iterdir()) == []
    add(pabal, "alice")
    assert pabal(*command, stdin=PASSWORD).code == 0


def test_users_are_added_and_listed(pabal):
    assert add(pabal, "alice", "--admin").out == "alice was added\n"
    assert json.loads(add(pabal, "bob", "--json").out) == {"user": "bob", "done": "added"}
    found = users(pabal)
    assert list(found) == ["alice", "bob"]
    assert found["alice"]["admin"] is True
    assert found["bob"]["admin"] is False
    assert isinstance(found["bob"]["created_ts"], int)
    assert list(found["bob"]) == ["user", "display_name", "admin", "state", "created_ts"]
    table = pabal("user", "list").out.splitlines()
    assert table[0].split() == ["user", "display_name", "admin", "state", "created"]
    assert table[1].split()[:4] == ["alice", "-", "yes", "active"]


def test_a_user_is_disabled_enabled_and_deleted(pabal):
    add(pabal, "alice")
    assert pabal("user", "disable", "alice").code == 0
    assert users(pabal)["alice"]["state"] == "disabled"
    assert pabal("user", "enable", "alice").code == 0
    assert users(pabal)["alice"]["state"] == "active"
    assert pabal("user", "delete", "alice", "--yes").out == "alice is deleted\n"
    assert users(pabal) == {}
    again = pabal("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert again.code == 1
    assert again.err.startswith("error: user: ")


def test_where_there_is_no_terminal_to_ask_at_a_script_means_what_it_says(pabal):
    add(pabal, "alice")
    assert pabal("user", "delete", "alice").out == "alice is deleted\n"
    assert users(pabal) == {}


def test_a_password_is_changed(pabal):
    add(pabal, "alice")
    assert pabal("user", "passwd", "alice", "--password-stdin", stdin="another horse\n").code == 0
    short = pabal("user", "passwd", "alice", "--password-stdin", stdin="short\n")
    assert (short.code, short.err) == (1, "error: password: 8 to 256 characters\n")


@pytest.mark.parametrize("command", ["passwd", "disable", "enable", "delete"])
def test_a_user_that_does_not_exist_is_told(pabal, command):
    add(pabal, "alice")
    more = {"passwd": ["--password-stdin"], "delete": ["--yes"]}.get(command, [])
    done = pabal("user", command, "nobody", *more, stdin=PASSWORD)
    assert (done.code, done.err) == (1, "error: no user 'nobody'\n")


@pytest.mark.parametrize("command", ["add", "passwd", "disable", "enable", "delete"])
def test_a_name_that_cannot_be_is_told(pabal, command):
    more = {"add": ["--password-stdin"], "passwd": ["--password-stdin"], "delete": ["--yes"]}.get(command, [])
    done = pabal("user", command, "No Name", *more, stdin=PASSWORD)
    assert done.code == 1
    assert done.err.startswith("error: user: 2 to 32 of a-z")


def test_a_password_is_never_asked_of_a_pipe_by_chance(pabal):
    done = pabal("user", "add", "alice", stdin=PASSWORD)
    assert done.code == 2
    assert "--password-stdin" in done.err
    empty = pabal("user", "add", "alice", "--password-stdin")
    assert empty.code == 2
    assert empty.err.startswith("error: no password on standard input\n")


def test_a_sound_database_passes_its_check(pabal):
    add(pabal, "alice")
    done = pabal("db", "check", "--json")
    assert done.code == 0
    assert json.loads(done.out)["ok"] is True
    assert all(line.startswith("ok ") for line in pabal("db", "check").out.splitlines())


def test_a_broken_promise_fails_the_check_and_is_shown(pabal, tmp_path):
    add(pabal, "alice")
    with closing(sqlite3.connect(tmp_path / "pabal-data" / "pabal.sqlite3")) as database, database:
        database.execute("INSERT INTO inbox_head (user_id, head) VALUES ('alice', 3)")
    done = pabal("db", "check")
    assert done.code == 1
    assert "FAIL  seqs of an inbox are dense" in done.out
    assert "not so: alice" in done.out
    assert done.err.startswith("error: 1 of ")
    assert json.loads(pabal("db", "check", "--json").out)["ok"] is False


def test_a_backup_is_a_whole_database_for_its_owner_only(pabal, tmp_path):
    add(pabal, "alice")
    copy = tmp_path / "copy.sqlite3"
    done = pabal("db", "backup", str(copy))
    assert (done.code, done.out) == (0, f"{copy} has {copy.stat().st_size} bytes\n")
    assert copy.stat().st_mode & 0o777 == 0o600
    found = pabal("user", "list", "--json", "--data", "other", "--database-url", f"sqlite:///{copy}")
    assert [row["user"] for row in json.loads(found.out)] == ["alice"]


def test_a_backup_never_writes_over_something(pabal, tmp_path):
    add(pabal, "alice")
    (tmp_path / "precious").write_text("precious")
    done = pabal("db", "backup", "precious")
    assert (done.code, done.err.splitlines()[0]) == (1, "error: precious exists already")
    assert (tmp_path / "precious").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pabal-data", "precious"]
    assert json.loads(pabal("db", "backup", "--json", "free").out)["file"] == "free"


def test_a_backup_to_where_nothing_can_be_written_is_refused(pabal):
    add(pabal, "alice")
    assert pabal("db", "backup", "missing/copy").err.startswith(
        "error: missing/copy cannot be written: No such file or directory\nhint: "
    )


def test_an_upgrade_makes_and_then_keeps(pabal):
    assert pabal("db", "upgrade").out == "the database was upgraded\n"
    assert json.loads(pabal("db", "upgrade", "--json").out)["upgraded"] is False


def test_an_upgrade_is_refused_while_a_server_holds_the_folder(pabal, tmp_path):
    pabal("db", "upgrade")
    with Lock(tmp_path / "pabal-data" / "pabal.lock"):
        done = pabal("db", "upgrade")
    assert done.code == 1
    assert "already uses pabal-data" in done.err
    assert pabal("db", "upgrade").code == 0


def make_newer(tmp_path):
    with closing(sqlite3.connect(tmp_path / "pabal-data" / "pabal.sqlite3")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    "command", [["user", "list"], ["db", "upgrade"], ["db", "check"], ["db", "backup", "x"]]
)
def test_a_database_from_a_newer_version_is_refused(pabal, tmp_path, command):
    add(pabal, "alice")
    make_newer(tmp_path)
    done = pabal(*command)
    assert done.code == 1
    assert "has schema 9999, which is newer than this version's" in done.err.splitlines()[0]


def test_a_file_that_is_no_database_is_refused(pabal, tmp_path):
    (tmp_path / "pabal-data").mkdir()
    (tmp_path / "pabal-data" / "pabal.sqlite3").write_bytes(b"no database" * 1000)
    done = pabal("db", "upgrade")
    assert done.code == 1
    assert "is not a usable database" in done.err.splitlines()[0]


def test_keys_are_rotated(pabal, tmp_path):
    pabal("db", "upgrade")
    first = json.loads(pabal("keys", "rotate", "--json").out)["kid"]
    assert pabal("keys", "rotate").out.startswith("tokens are signed with key ")
    kept = json.loads((tmp_path / "pabal-data" / "keys.json").read_text())["keys"]
    assert kept[1]["kid"] == first
    assert kept[1]["retired"] is not None


def test_a_key_file_that_others_can_read_is_not_used(pabal, tmp_path):
    pabal("db", "upgrade")
    pabal("keys", "rotate")
    (tmp_path / "pabal-data" / "keys.json").chmod(0o644)
    done = pabal("keys", "rotate")
    assert done.code == 1
    assert "can be read by other users" in done.err
    assert "hint: chmod 600" in done.err
