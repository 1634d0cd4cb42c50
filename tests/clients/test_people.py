"""Contacts, blocks and presence, by the library."""

import queue

import pytest

from pabal.errors import BadRequest, NotFound
from pabal_client import ContactChange, Presence

PRESENCE = "pabal/v1/presence/"


@pytest.fixture
def client(open_client):
    return open_client()


def contact_changes(client, count):
    found = []
    for update in client.updates(timeout=60):
        found += [value for value in [update.typed()] if isinstance(value, ContactChange)]
        if len(found) == count:
            return [(one.action, one.user, one.text) for one in found]
    raise AssertionError(found)


def test_two_become_contacts_and_part(open_client, client):
    bob = open_client("bob")
    assert client.contacts.request("@bob", "we met").wait(60).state == "requested"
    assert [(row.user, row.state) for row in client.contacts.list(timeout=60)] == [("bob", "requested")]
    assert [(row.user, row.state) for row in bob.contacts.list(timeout=60)] == [("alice", "received")]
    bob.contacts.accept("alice").wait(60)
    assert [row.state for row in client.contacts.list(timeout=60)] == ["accepted"]
    client.contacts.remove("bob").wait(60)
    assert bob.contacts.list(timeout=60) == []
    assert contact_changes(client, 3) == [
        ("requested", "bob", "we met"),
        ("accepted", "bob", None),
        ("removed", "bob", None),
    ]
    assert contact_changes(bob, 3)[0] == ("received", "alice", "we met")


def test_lists_are_fetched_page_by_page_and_people_found_by_the_beginning_of_their_name(broker, client):
    broker.server.page_limit = 2
    for name in ("bob", "ben", "carol", "dave", "eve"):
        client.contacts.request(name)
        client.blocks.add(name).wait(60)
    assert [row.user for row in client.contacts.list(timeout=60)] == ["ben", "bob", "carol", "dave", "eve"]
    assert [row.user for row in client.blocks.list(timeout=60)] == ["ben", "bob", "carol", "dave", "eve"]
    assert [one.user for one in client.search("b", timeout=60).users] == ["ben", "bob"]


def test_who_did_not_ask_cannot_be_accepted(client):
    with pytest.raises(NotFound):
        client.contacts.accept("bob").wait(60)
    with pytest.raises(BadRequest):
        client.contacts.request("No Such Name")
    assert client.unsent == 0


def test_somebody_is_blocked_and_let_go_in_that_order_over_a_connection_that_breaks(broker, client):
    client.wait_online(60)
    broker.drop_next = True
    waiting = [client.blocks.add("mallory"), client.blocks.remove("mallory"), client.blocks.add("mallory")]
    for one in waiting:
        one.wait(60)
    assert [row.user for row in client.blocks.list(timeout=60)] == ["mallory"]
    assert contact_changes(client, 3) == [
        ("blocked", "mallory", None),
        ("unblocked", "mallory", None),
        ("blocked", "mallory", None),
    ]


def test_presence_is_asked_for_and_last_seen_is_told_where_it_may_be(broker, client):
    broker.server.states = {"bob": {"state": "away", "last_seen": 7}}
    assert client.presence(["@bob", "carol"], timeout=60) == {
        "bob": Presence(user="bob", state="away", last_seen=7),
        "carol": Presence(user="carol", state="offline"),
    }
    with pytest.raises(BadRequest):
        client.presence(["No Such Name"])


def test_who_is_watched_is_told_of_from_then_on_and_only_when_it_changes(broker, open_client):
    told = queue.Queue()
    broker.retained[f"{PRESENCE}bob"] = b'{"state":"online"}'
    client = open_client(on_presence=told.put)
    client.watch(["bob"])
    assert told.get(timeout=60) == Presence(user="bob", state="online")
    # Before the connection breaks: the client may be back, and have heard the old one, before a next line is reached.
    broker.retained[f"{PRESENCE}bob"] = b'{"state":"away"}'
    broker.drop_all()
    assert told.get(timeout=60).state == "away"
    for state in (b'{"state":"away"}', b'{"state":"offline"}', b""):
        broker.send_out([(f"{PRESENCE}bob", state)])
    assert told.get(timeout=60).state == "offline"
    client.unwatch(["bob"])
    broker.wait_for(lambda: not any(f"{PRESENCE}bob" in link.topics for link in broker.links))
    client.watch(["carol"])
    broker.wait_for(lambda: any(f"{PRESENCE}carol" in link.topics for link in broker.links))
    broker.send_out([(f"{PRESENCE}bob", b'{"state":"online"}'), (f"{PRESENCE}carol", b'{"state":"online"}')])
    assert told.get(timeout=60) == Presence(user="carol", state="online")
    assert told.empty()


def test_the_state_of_the_device_is_kept_over_connections(broker, open_client):
    client = open_client()
    client.wait_online(60)
    client.status("away")
    client.status("away")
    broker.wait_for(lambda: len(broker.status) == 2)
    broker.drop_all()
    broker.wait_for(lambda: len(broker.status) == 3)
    assert broker.status == [
        b'{"state":"online","n":1}',
        b'{"state":"away","n":1}',
        b'{"state":"away","n":2}',
    ]
    assert broker.wills[1] == ("pabal/v1/status/alice/phone", b'{"state":"offline","n":2}')
    client.status("online")
    broker.wait_for(lambda: broker.status[-1] == b'{"state":"online","n":2}')
