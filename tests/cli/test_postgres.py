"""Commands on a real PostgreSQL, and what they say where there is none."""

import json
import re
import sys
import time

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from bridge.store.failures import is_refusal
from cli import main

SECRET = "hunter2"


@pytest.fixture
def run(capsys, tmp_path):
    def command(*arguments: str, url: str):
        code = main.main([*arguments, "--data", str(tmp_path / "data"), "--database-url", url])
        captured = capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        return code, captured.out, captured.err

    return command


@pytest.fixture
def url(postgres):
    made = postgres.fresh("template1")
    yield made
    postgres.drop(made)


def test_the_life_of_a_database(run, url, monkeypatch):
    code, _out, err = run("user", "list", url=url)
    assert code == 1
    assert "error: the database has schema none" in err
    assert "hint: run: pabal db upgrade" in err
    assert run("db", "upgrade", url=url) == (0, "the database was upgraded\n", "")
    assert run("db", "upgrade", url=url) == (0, "the database is up to date\n", "")
    monkeypatch.setattr("cli.passwords.ask", lambda *_args, **_options: "correct horse battery")
    assert run("user", "add", "alice", url=url)[0] == 0
    code, out, _err = run("user", "list", "--json", url=url)
    assert [row["user"] for row in json.loads(out)] == ["alice"]
    code, out, _err = run("db", "check", url=url)
    assert (code, "FAIL" in out, "ok    seqs of an inbox" in out) == (0, False, True)
    code, _out, err = run("db", "backup", "copy", url=url)
    assert code == 1
    assert "pg_dump" in err
    assert err.count("\n") == 1
    code, out, _err = run("db", "restored", "--json", url=url)
    assert (code, len(json.loads(out)["epoch"])) == (0, 8)


def test_the_doctor_looks_at_postgresql(run, url):
    _code, out, _err = run("doctor", url=url)
    assert "fail  database: schema none" in out
    assert "-> pabal db upgrade" in out
    run("db", "upgrade", url=url)
    _code, out, _err = run("doctor", url=url)
    # The wheel's PostgreSQL may run without fsync; that is told.
    assert "database: postgresql+psycopg://" in out
    assert re.search(r"has schema \d{4}", out) or "fsync = off" in out


COMMANDS = [("db", "upgrade"), ("db", "check"), ("db", "restored"), ("user", "list"), ("serve",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_server_that_is_not_there_is_told_in_a_line_without_secrets(run, command):
    code, out, err = run(*command, url=f"postgresql://pabal:{SECRET}@127.0.0.1:1/pabal")
    assert (code, out) == (1, "")
    assert err.startswith(
        "error: the database postgresql+psycopg://pabal:***@127.0.0.1:1/pabal cannot be used: "
    )
    assert "refused" in err.lower()
    assert len(err.splitlines()) <= 2


@pytest.fixture(scope="module")
def admit(postgres):
    """A function that gives the URL of a database that takes only who knows the password. `keep` in it may use
    nothing that is in there, `out` may not log in.
    """
    rules = postgres.folder / "pg_hba.conf"
    before = rules.read_text()
    url = postgres.fresh()
    administrator = create_engine(url, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(text(f"CREATE ROLE keep LOGIN PASSWORD '{SECRET}'"))
        connection.execute(text("CREATE ROLE out NOLOGIN"))
        rules.write_text(f"local all keep scram-sha-256\n{before}")
        connection.execute(text("SELECT pg_reload_conf()"))
    own = make_url(url)
    deadline = time.monotonic() + 90
    while is_let_in(own.set(username="keep", password="wrong")):  # until the new rules hold
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield lambda user, password, database: own.set(
        username=user, password=password, database=database or own.database
    )
    rules.write_text(before)
    with administrator.connect() as connection:
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("DROP ROLE keep"))
        connection.execute(text("DROP ROLE out"))
    administrator.dispose()
    postgres.drop(url)


def is_let_in(url: URL) -> bool:
    engine = create_engine(url)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True


@pytest.mark.parametrize("command", [("serve",), ("db", "upgrade"), ("db", "check"), ("user", "list")])
@pytest.mark.parametrize(
    ("user", "password", "database", "said"),
    [
        ("keep", "wrong", None, 'password authentication failed for user "keep"'),
        ("keep", "", None, "no password supplied"),
        ("keep", SECRET, None, "permission denied for table alembic_version"),
        ("keep", SECRET, "template1", "permission denied for schema public"),
        ("out", "", None, 'role "out" is not permitted to log in'),
        ("stranger", "", None, 'role "stranger" does not exist'),
        ("postgres", "", "nothing", 'database "nothing" does not exist'),
    ],
)
def test_who_is_not_let_in_is_told_in_one_line_as_a_wrong_setting(
    run, admit, command, user, password, database, said
):
    if database == "template1" and command != ("db", "upgrade"):
        pytest.skip("only an upgrade wants to make something there")
    url = admit(user, password, database)
    code, out, err = run(*command, url=url.render_as_string(hide_password=False))
    assert (code, out) == (2, "")
    assert err == (
        f"error: database_url = {url.set(query={})} is refused by PostgreSQL: {said};"
        " expected a user, password and database that it takes\n"
    )


def test_a_postgresql_that_is_only_starting_is_no_wrong_setting():
    starting = OperationalError(
        "", {}, Exception("connection failed: FATAL:  the database system is starting up")
    )
    assert not is_refusal(starting)


def test_a_missing_driver_is_told_with_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    code, _out, err = run("user", "list", url=f"postgresql://pabal:{SECRET}@127.0.0.1:1/pabal")
    assert code == 1
    assert "psycopg, which is not installed" in err
    assert "pip install 'pabal[postgres]'" in err


def test_a_version_that_is_too_old_is_told(run, url, monkeypatch):
    monkeypatch.setattr("bridge.store.engine.OLDEST_POSTGRESQL", 99)
    code, _out, err = run("user", "list", url=url)
    assert code == 1
    assert "99 or newer is needed" in err


@pytest.mark.parametrize("command", [("db", "upgrade"), ("serve",), ("doctor",)], ids=" ".join)
def test_a_database_that_is_not_in_utf8_is_told(run, postgres, command):
    url = postgres.in_bytes()
    try:
        code, out, err = run(*command, url=url)
    finally:
        postgres.drop(url)
    assert code == 1
    assert "this database is in SQL_ASCII, and UTF8 is needed" in out + err
    assert "ENCODING 'UTF8'" in out + err


def test_no_command_changes_a_database_that_a_server_uses(run, url):
    from bridge.store.lease import PostgresLease  # noqa: PLC0415 -- named where it stands for the server

    run("db", "upgrade", url=url)
    lease = PostgresLease(url)
    assert lease.acquire()
    # On a slow machine the commands take longer than a lease lasts that shows no life.
    lease.keep(0, lambda: None)
    for command in ("upgrade", "restored"):
        code, _out, err = run("db", command, url=url)
        assert code == 1
        assert "a server uses postgresql+psycopg://" in err
    lease.release()
