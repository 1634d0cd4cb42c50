"""An account is deleted on the real server, which is killed in the middle of it: what others see then."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest
from people import PASSWORD, Person, Plain, wait_for

from cli.settings import DATABASE_FILE

# Six steps of the eraser in this conversation; the server is killed within the first four, whatever else it commits.
MESSAGES = 3_000
AT_ONCE = 100
pytestmark = pytest.mark.functional


def rows(server, statement: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(server.data / DATABASE_FILE, timeout=60)) as database:
        return database.execute(statement).fetchall()


def state(server, user: str) -> str:
    [(found,)] = rows(server, f"SELECT state FROM account WHERE user_id = '{user}'")
    return found


def pabal(server, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PABAL_")}
    command = [sys.executable, "-m", "cli", *arguments, "--data", str(server.data)]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=120)


def history(person: Person, conv: str) -> list[dict]:
    items: list[dict] = []
    while True:
        after = items[-1]["message_id"] if items else 0
        page = person.http.get(
            f"/conversations/{conv}/messages", params={"after": after, "limit": 200}
        ).json()
        items += page["items"]
        if not page["more"]:
            return items


def request(person: Person, **fields: object) -> dict:
    answer = person.http.post("/requests", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_deletion_that_is_killed_in_the_middle_is_finished_by_the_next_server(server):
    alice, bob = Person(server.api, "alice"), Person(server.api, "bob")
    group = request(alice, op="group.create", name="Riders", members=["bob"])["conv"]
    request(alice, conv=group, text="to the group")
    sender = Plain(server.mqtt, "alice:pen", alice.secret("pen")).connect()
    sender.publish("pabal/v1/status/alice/pen", {"state": "online", "n": 1}, retain=True)
    for first in range(0, MESSAGES, AT_ONCE):
        batch = [{"to": "bob", "text": f"m{number}"} for number in range(first, first + AT_ONCE)]
        sender.publish("pabal/v1/up/alice/pen", batch)
    assert rows(server, "SELECT count(*) FROM direct_message WHERE text IS NOT NULL") == [(MESSAGES,)]
    sender.close()
    alice.close()
    bob.close()
    server.stop()

    pabal(server, "user", "delete", "alice", "--yes")
    server._environment["PABAL_FAULTS"] = "kill:after_commit:4"
    server.begin()
    assert server.process is not None
    server.process.wait(120)
    assert server.stop() == -9
    assert state(server, "alice") == "deleting"
    [(left,)] = rows(server, "SELECT count(*) FROM direct_message WHERE text IS NOT NULL")
    assert 0 < left < MESSAGES

    del server._environment["PABAL_FAULTS"]
    server.start()
    wait_for(lambda: state(server, "alice") == "deleted", "the end of the deletion")
    bob = Person(server.api, "bob")
    seen = history(bob, "alice~bob")
    assert [(one["message_id"], one["recalled"]) for one in seen] == [
        (number, True) for number in range(1, MESSAGES + 1)
    ]
    assert not [one for one in seen if one.get("text") or one.get("body")]
    told = history(bob, group)
    assert [(one.get("action"), one.get("user"), one.get("role")) for one in told[-2:]] == [
        ("left", "alice", None),
        ("role", "bob", "owner"),
    ]
    assert not [one for one in bob.inbox() if one.get("text")]
    assert rows(server, "SELECT count(*) FROM inbox WHERE user_id = 'alice'") == [(0,)]
    for gone in ("device", "login_session", "mqtt_session"):
        assert rows(server, f"SELECT count(*) FROM {gone} WHERE user_id = 'alice'") == [(0,)]
    wait_for(lambda: not rows(server, "SELECT topic FROM retained"), "the end of the retained status")
    assert bob.send("alice", "still there?").status_code == 404
    taken = bob.http.post("/users", json={"user": "alice", "password": PASSWORD})
    assert taken.status_code == 409
    bob.close()


def test_a_password_that_is_changed_ends_the_other_connections_and_not_ones_own(server):
    alice = Person(server.api, "alice")
    other = Person(server.api, "alice", device="laptop")
    clients = {
        one.device: Plain(server.mqtt, f"alice:{one.device}", one.session["access_token"]).connect()
        for one in (alice, other)
    }
    for device, client in clients.items():
        client.subscribe(f"pabal/v1/down/alice/{device}")
    changed = alice.http.put("/me/password", json={"old": PASSWORD, "new": "another " + PASSWORD})
    assert changed.status_code == 204, changed.text
    wait_for(clients["laptop"].closed.is_set, "the end of the other connection")
    assert clients["laptop"].on("pabal/v1/down/alice/laptop") == [{"type": "kicked", "reason": "password"}]
    assert other.http.get("/me").status_code == 401
    assert alice.http.get("/me").status_code == 200
    clients["phone"].publish("pabal/v1/up/alice/phone", {"id": "1", "to": "alice", "text": "still here"})
    assert not clients["phone"].closed.is_set()
    events = [one["event"] for one in alice.http.get("/me/security").json()["events"]]
    assert events == ["password_changed", "logged_in", "logged_in", "signed_up"]
    exported = alice.http.get("/me/export")
    assert (exported.status_code, exported.headers["content-type"]) == (200, "application/zip")
    assert exported.content[:2] == b"PK"
    # Deleted while somebody is connected: the connection ends too.
    assert alice.http.request("DELETE", "/me", json={"password": "another " + PASSWORD}).status_code == 204
    wait_for(clients["phone"].closed.is_set, "the end of one's own connection")
    wait_for(lambda: state(server, "alice") == "deleted", "the end of the deletion")
    for one in (alice, other):
        one.close()
    for client in clients.values():
        client.client.loop_stop()
