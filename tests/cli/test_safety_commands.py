"""`pabal user audit` and `export`, and what operators leave in the audit log."""

import json
import sqlite3
import zipfile
from contextlib import closing

import pytest

PASSWORD = "correct horse\n"


@pytest.fixture
def alice(pabal):
    assert pabal("user", "add", "alice", "--password-stdin", stdin=PASSWORD).code == 0
    return "alice"


def audit(pabal, *more):
    done = pabal("user", "audit", *more, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_what_operators_do_is_in_the_audit_log_newest_first(pabal, alice):
    assert pabal("user", "passwd", alice, "--password-stdin", stdin="another horse\n").code == 0
    for command in ("disable", "enable", "delete"):
        assert pabal("user", command, alice).code == 0
    told = audit(pabal, alice)
    assert [one["event"] for one in told] == [
        "deleted", "enabled", "disabled", "password_changed", "signed_up",
    ]  # fmt: skip
    assert {one["detail"]["via"] for one in told} == {"operator"}
    assert list(told[0]) == ["id", "ts", "user", "event", "device", "address", "detail"]
    assert "horse" not in json.dumps(told)


def test_without_a_name_everybodys_events_are_there_and_limit_bounds_them(pabal, alice):
    assert pabal("user", "add", "bob", "--password-stdin", stdin=PASSWORD).code == 0
    assert [(one["user"], one["event"]) for one in audit(pabal)] == [
        ("bob", "signed_up"),
        ("alice", "signed_up"),
    ]
    assert [one["user"] for one in audit(pabal, alice)] == ["alice"]
    assert [one["user"] for one in audit(pabal, "--limit", "1")] == ["bob"]
    table = pabal("user", "audit").out.splitlines()
    assert table[0].split() == ["when", "user", "event", "device", "address", "detail"]
    assert "via=operator" in table[1]


def test_an_export_is_a_private_archive_and_is_told_in_the_audit_log(pabal, alice, tmp_path):
    done = pabal("user", "export", alice, "alice.zip")
    assert (done.code, done.out.startswith("alice is in alice.zip (")) == (0, True), done.err
    file = tmp_path / "alice.zip"
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("profile.json"))["user"] == "alice"
    assert audit(pabal, alice)[0]["event"] == "exported"
    as_json = json.loads(pabal("user", "export", alice, "other.zip", "--json").out)
    assert as_json == {"user": alice, "file": "other.zip", "bytes": (tmp_path / "other.zip").stat().st_size}


@pytest.mark.parametrize(
    ("name", "file", "says"),
    [
        ("alice", "there.zip", "there.zip is there already"),
        ("alice", "no-folder/a.zip", "cannot be written"),
        ("nobody", "a.zip", "no user 'nobody'"),
    ],
)
@pytest.mark.usefixtures("alice")
def test_an_export_is_refused_and_leaves_nothing_behind(pabal, tmp_path, name, file, says):
    (tmp_path / "there.zip").write_text("mine")
    before = sorted(one.name for one in tmp_path.iterdir())
    done = pabal("user", "export", name, file)
    assert (done.code, says in done.err) == (1, True), done.err
    assert sorted(one.name for one in tmp_path.iterdir()) == before
    assert (tmp_path / "there.zip").read_text() == "mine"


def test_a_deleted_account_waits_for_a_server_to_take_away_what_it_wrote(pabal, alice, tmp_path):
    assert pabal("user", "delete", alice).code == 0
    with closing(sqlite3.connect(tmp_path / "pabal-data" / "pabal.sqlite3")) as database:
        row = database.execute("SELECT state, display_name, about, password_hash FROM account").fetchone()
    assert row == ("deleting", None, None, None)
