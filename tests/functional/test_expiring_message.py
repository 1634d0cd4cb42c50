"""A message with a time to go, on a real server that is killed before that is over."""

import time

import pytest
from people import Person

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

WAIT_S = 120


@pytest.fixture
def people(server):
    people = [Person(server.api, name) for name in ("alice", "bob")]
    yield people
    for person in people:
        person.close()


def test_a_message_expires_though_the_server_was_killed_meanwhile(server, people):
    alice, bob = people
    sent = alice.http.post(
        "/requests", json={"id": "1", "to": "bob", "text": "secret", "expires_in": 1}
    ).json()
    kept = alice.http.post(
        "/requests", json={"id": "2", "to": "bob", "text": "kept", "expires_in": 10_000}
    ).json()
    assert (sent["ok"], kept["ok"]) == (True, True)
    server.kill()
    server.start()
    deadline = time.monotonic() + WAIT_S
    recalled = []
    while not recalled:
        assert time.monotonic() < deadline, "it did not expire"
        page = bob.http.get("/sync", params={"after": 0, "wait": 5}).json()
        recalled = [item for item in page["items"] if item["type"] == "recalled"]
        if not recalled:
            bob.http.get("/sync", params={"after": page["head"], "wait": 5})
    assert [(item["target"], item["expired"], item["from"]) for item in recalled] == [(1, True, "alice")]
    first, second, entry = bob.http.get("/conversations/@alice/messages").json()["items"]
    assert (first["recalled"], first["expired"], "text" in first) == (True, True, False)
    assert (second["text"], entry["type"], entry["message_id"]) == ("kept", "recalled", 3)
    again = alice.http.post(
        "/requests", json={"id": "1", "to": "bob", "text": "secret", "expires_in": 1}
    ).json()
    assert (again["dup"], again["message_id"]) == (True, 1)
