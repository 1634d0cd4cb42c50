"""`pabal serve` on a real PostgreSQL: end to end, refused, killed, paused, replaced and restored."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from people import Person, Plain, wait_for

from bridge.store import maintenance
from bridge.store.engine import open_engine

pytestmark = pytest.mark.functional

OFF = {"PABAL_RATE_LIMITS": "off"}
HELD = "another server holds the database; standing by"


@pytest.fixture
def url(postgres):
    made = postgres.fresh()
    yield made
    postgres.give_back(made)


@pytest.fixture
def serve(start_server, url):
    """Starts a server on this database; the second one is a standby."""

    def start(**options):
        return start_server("--database-url", url, environment=OFF, **options)

    return start


@pytest.fixture
def closing():
    made = []
    yield lambda one: made.append(one) or one
    for one in made:
        one.close()


def pabal(*arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean, timeout=150, check=False,
    )  # fmt: skip


def assert_sound(url):
    engine = open_engine(url, read_only=True)
    assert [finding for finding in maintenance.check(engine) if finding.breaches] == []
    engine.dispose()


def until_standing_by(server):
    wait_for(lambda: HELD in server.log.read_text(), "the standby to stand by", 90)
    assert server.stdout == []


def test_messages_go_the_whole_way_and_survive_a_kill(serve, closing, url):
    server = serve()
    alice, bob = (closing(Person(server.api, user)) for user in ("alice", "bob"))
    secret = bob.secret("cli")
    receiver = Plain(server.mqtt, "bob:cli", secret, clean=False).connect()
    receiver.subscribe("pabal/v1/inbox/bob")
    assert alice.send("bob", "one", id="1").status_code == 201
    wait_for(lambda: receiver.seqs("bob") == [1])
    receiver.close()
    assert alice.send("bob", "two", id="2").status_code == 201
    server.kill()
    server.start()
    again = closing(Plain(server.mqtt, "bob:cli", secret, clean=False)).connect()
    assert again.session_present
    wait_for(lambda: again.seqs("bob")[-1:] == [2])
    answer = alice.send("bob", "two", id="2")
    assert (answer.status_code, answer.json()["message_id"], answer.json()["dup"]) == (200, 2, True)
    assert [item["text"] for item in bob.inbox()] == ["one", "two"]
    assert not (server.data / "pabal.sqlite3").exists()
    assert json.loads((server.data / "epoch.json").read_text())["epoch"] == bob.inbox()[0]["epoch"]
    assert server.stop() == 0
    assert_sound(url)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_standby_takes_over(serve, closing, url, number):
    first = serve()
    alice, _bob = (closing(Person(first.api, user)) for user in ("alice", "bob"))
    assert alice.send("bob", "one", id="1").status_code == 201
    second = serve(wait=False)
    until_standing_by(second)
    first._end(number)
    second.await_ready()
    again = closing(Person(second.api, "alice"))
    assert again.send("bob", "one", id="1").json()["message_id"] == 1
    assert again.send("bob", "two", id="2").json()["message_id"] == 2
    assert second.stop() == 0
    assert_sound(url)


def test_a_server_that_was_paused_while_another_took_over_commits_nothing_and_ends(serve, closing, url):
    first = serve()
    alice, _bob = (closing(Person(first.api, user)) for user in ("alice", "bob"))
    secret = alice.secret("cli")
    paused = Plain(first.mqtt, "alice:cli", secret).connect()
    assert alice.send("bob", "one", id="1").status_code == 201
    second = serve(wait=False)
    until_standing_by(second)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        # What the paused server finds in its sockets when it wakes up.
        paused.client.publish("pabal/v1/up/alice/cli", b'{"id":"late","to":"bob","text":"late"}', 1)
        second.await_ready(90)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.process.wait(90) == 1
    paused.vanish()
    assert "taken the database over" in first.log.read_text()
    other = closing(Person(second.api, "bob"))
    assert [item["text"] for item in other.inbox()] == ["one"]
    assert other.send("alice", "two", id="2").json()["message_id"] == 2
    assert second.stop() == 0
    assert_sound(url)


def test_a_standby_can_be_stopped(serve):
    first = serve()
    second = serve(wait=False)
    until_standing_by(second)
    assert second.stop() == 0
    assert first.stop() == 0


def test_an_older_schema_is_refused_with_the_command_that_helps_and_that_helps(
    postgres, tmp_path, start_server
):
    url = postgres.fresh("template1")
    ports = [f"--{name}=127.0.0.1:0" for name in ("mqtt", "ws", "http")]
    done = pabal("serve", "--data", str(tmp_path / "data"), *ports, "--database-url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: the database has schema none, .*; run: pabal db upgrade\n", done.stderr)
    helped = pabal("db", "upgrade", "--data", str(tmp_path / "data"), "--database-url", url)
    assert (helped.returncode, helped.stdout) == (0, "the database was upgraded\n")
    server = start_server("--database-url", url)
    in_use = pabal("db", "upgrade", "--data", str(tmp_path / "data"), "--database-url", url)
    assert in_use.returncode == 1
    assert "a server uses postgresql" in in_use.stderr
    assert server.stop() == 0
    postgres.drop(url)


def test_after_db_restored_devices_start_over_in_a_new_epoch(serve, closing, url):
    server = serve()
    alice, _bob = (closing(Person(server.api, user)) for user in ("alice", "bob"))
    alice.send("bob", "one", id="1")
    epoch = alice.http.get("/sync", params={"after": 0}).json()["epoch"]
    assert server.stop() == 0
    done = pabal("db", "restored", "--json", "--data", str(server.data), "--database-url", url)
    made = json.loads(done.stdout)["epoch"]
    assert made != epoch
    server.start()
    answer = alice.http.get("/sync", params={"after": 1, "epoch": epoch}).json()
    assert (answer["reset"], answer["epoch"]) == (True, made)
    assert server.stop() == 0
