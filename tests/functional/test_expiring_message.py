"""A message with a time to go, on a real server that is killed before anybody sees it go."""

import contextlib

import pytest
from people import Person, wait_for

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

NAMES = ("alice", "bob")
WAIT_S = 120


@contextlib.contextmanager
def logged_in(server):
    people = [Person(server.api, name) for name in NAMES]
    yield people
    for person in people:
        person.http.close()


def test_a_message_expires_though_the_server_was_killed_meanwhile(server):
    request = {"id": "secret", "to": "bob", "text": "secret", "expires_in": 1}
    with logged_in(server) as (alice, _bob):
        for sent in ({"id": "kept", "to": "bob", "text": "kept", "expires_in": 10_000}, request):
            assert alice.http.post("/requests", json=sent).json()["ok"] is True
    server.kill()
    server.start()
    with logged_in(server) as (alice, bob):
        wait_for(lambda: any(item["type"] == "recalled" for item in bob.inbox()), "the expiry", WAIT_S)
        recalled = [item for item in bob.inbox() if item["type"] == "recalled"]
        assert [(item["target"], item["expired"], item["from"]) for item in recalled] == [(2, True, "alice")]
        kept, gone, entry = bob.http.get("/conversations/@alice/messages").json()["items"]
        assert (kept["text"], gone["recalled"], gone["expired"], "text" in gone) == (
            "kept",
            True,
            True,
            False,
        )
        assert (entry["type"], entry["message_id"]) == ("recalled", 3)
        # The web process may serve a moment before its link to the relay is up again.
        wait_for(lambda: alice.http.post("/requests", json=request).status_code == 200, "the relay", WAIT_S)
        again = alice.http.post("/requests", json=request).json()
        assert (again["dup"], again["message_id"]) == (True, 2)
