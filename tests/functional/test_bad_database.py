"""`pabal serve` while its database is full, damaged or gone: clear answers, a quiet log, nothing acknowledged that is
not stored, and no restart.
"""

import json
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx2
import pytest
from faultlab.disk import Disk
from people import PASSWORD, Person, Plain, wait_for
from postgres_proxy import PostgresProxy
from sqlalchemy import make_url

pytestmark = pytest.mark.functional

OFF = {"PABAL_RATE_LIMITS": "off"}
UP, DOWN = "pabal/v1/up/alice/cli", "pabal/v1/down/alice/cli"
WAYS = ("a send over HTTP", "a login", "a send over MQTT")


class Town:
    """Alice, with HTTP and MQTT, and Bob, on a server whose database somebody is about to break."""

    def __init__(self, server) -> None:
        self.server = server
        self.alice, self.bob = (Person(server.api, user) for user in ("alice", "bob"))
        secret = self.alice.secret("cli")
        self.plain = Plain(server.mqtt, "alice:cli", secret, clean=False).connect()
        self.plain.subscribe(DOWN)
        self.accepted: set[str] = set()
        self._number = 0

    def ask(self) -> dict[str, str]:
        """Try every way in once, at the same time. Returns which answers there were: `ok`, or the code."""
        self._number += 1
        text = f"text {self._number}"
        login = {"user": "bob", "password": PASSWORD, "device": "other"}
        with ThreadPoolExecutor(2) as pool:
            sending = pool.submit(self.alice.send, "bob", f"http {text}", id=text)
            logging_in = pool.submit(httpx2.post, f"{self.server.api}/sessions", json=login, timeout=60)
            raw = json.dumps({"id": text, "to": "bob", "text": f"mqtt {text}"})
            self.plain.client.publish(UP, raw, 1)
            wait_for(lambda: self._reply(text), "the reply over MQTT", 60)
            sent, logged_in, reply = sending.result(), logging_in.result(), self._reply(text)
        answers = [one.json().get("code", "ok") for one in (sent, logged_in)] + [reply.get("error", "ok")]
        self.accepted |= {
            f"{way} {text}" for way, answer in (("http", answers[0]), ("mqtt", answers[2])) if answer == "ok"
        }
        return dict(zip(WAYS, answers, strict=True))

    def _reply(self, text: str) -> dict:
        return next((said for said in self.plain.on(DOWN) if said.get("re") == text), {})

    def all_say(self, answer: str) -> bool:
        return set(self.ask().values()) == {answer}

    def assert_kept_what_it_promised(self) -> None:
        """Bob has what was accepted, each once. What was refused was never sent again, so it is not there."""
        assert sorted(item["text"] for item in self.bob.inbox()) == sorted(self.accepted)

    def close(self) -> None:
        self.plain.close()
        self.alice.close()
        self.bob.close()


@pytest.fixture
def town():
    made: list[Town] = []

    def open_town(server) -> Town:
        made.append(Town(server))
        return made[-1]

    yield open_town
    for one in made:
        one.close()


def said(server) -> list[str]:
    """What was logged as a warning or worse, without its times."""
    lines = server.log.read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if "[info" not in line]


def assert_told_once(server, before: int, what: str) -> None:
    """This was logged since, and nothing more than once, however often it was met."""
    log = said(server)[before:]
    assert [line for line in log if what in line] != []
    assert max(Counter(log).values()) == 1, log
    assert "Traceback" not in "".join(log)


def test_a_damaged_file_is_unavailable_and_over_when_it_is_whole_again(start_server, town):
    server = start_server(environment=OFF)
    people = town(server)
    assert people.all_say("ok")
    file = server.data / "pabal.sqlite3"
    log = file.with_name(f"{file.name}-wal")
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:

        def is_still() -> bool:
            """Nobody has a page of it in mind, and nobody commits until this transaction ends."""
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
                return False
            connection.execute("BEGIN IMMEDIATE")
            if log.stat().st_size == 0:
                return True
            connection.execute("ROLLBACK")
            return False

        wait_for(is_still)
        before = len(said(server))
        whole = file.read_bytes()
        with file.open("r+b") as pages:
            pages.seek(4096)
            pages.write(b"\xff" * (len(whole) - 4096))
        connection.execute("ROLLBACK")
    for _ in range(2):
        assert people.all_say("unavailable")
    refused = people.alice.http.get("/sync", params={"after": 0})
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 503
    assert httpx2.get(f"http://127.0.0.1:{server.http}/healthz", timeout=60).status_code == 200
    assert_told_once(
        server, before, "nothing can be committed: the database did not answer: database disk image is"
    )
    with file.open("r+b") as pages:
        pages.write(whole)
    wait_for(lambda: people.all_say("ok"), "everything to work again", 60)
    people.assert_kept_what_it_promised()
    assert server.stop() == 0


def test_a_full_disk_is_unavailable_and_over_when_there_is_room(tmp_path, start_server, town):
    disk = Disk(tmp_path / "disk", 16)
    if not disk.mounted:
        pytest.skip("mounting a small disk takes root")
    try:
        server = start_server("--database-url", f"sqlite:///{disk.folder}/chat.sqlite3", environment=OFF)
        people = town(server)
        assert people.all_say("ok")
        before = len(said(server))
        disk.fill()
        people.ask()  # what was allocated may take one transaction more
        assert people.all_say("unavailable")
        assert_told_once(
            server, before, "nothing can be committed: the database did not answer: database or disk is full"
        )
        disk.clear()
        wait_for(lambda: people.all_say("ok"), "everything to work again", 60)
        people.assert_kept_what_it_promised()
        assert server.stop() == 0
    finally:
        disk.release()


def test_a_postgresql_that_vanishes_is_unavailable_and_over_when_it_is_back(postgres, start_server, town):
    url = postgres.fresh()
    proxy = PostgresProxy(postgres.folder)
    server = start_server("--database-url", proxy.url(make_url(url).database), environment=OFF)
    people = town(server)
    assert people.all_say("ok")
    before = len(said(server))
    proxy.vanish()
    for _ in range(2):
        assert people.all_say("unavailable")
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 503
    assert_told_once(server, before, "nothing can be committed")
    proxy.unreachable.clear()
    wait_for(lambda: people.all_say("ok"), "everything to work again", 60)
    people.assert_kept_what_it_promised()
    assert server.stop() == 0
    proxy.close()
    postgres.give_back(url)
