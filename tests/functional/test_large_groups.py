"""Clients of the library in a group that becomes large, on a real server that is killed."""

import pytest
from people import Person

from pabal_client import Client

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

WAIT_S = 60


@pytest.fixture
def server(start_server):
    return start_server(environment={"PABAL_RATE_LIMITS": "off", "PABAL_SMALL_GROUP_LIMIT": "3"})


@pytest.fixture
def people(server):
    people = [Person(server.api, name) for name in ("alice", "bob", "carol", "dave")]
    yield people
    for person in people:
        person.close()


@pytest.fixture
def open_client(server, tmp_path):
    opened = []

    def open_one(person):
        client = Client.open(
            f"mqtt://127.0.0.1:{server.mqtt}",
            user=person.user,
            device=person.device,
            password=person.session["access_token"],
            store=tmp_path / f"{person.user}.sqlite",
        )
        opened.append(client)
        client.wait_online(WAIT_S)
        return client

    yield open_one
    for client in opened:
        client.close()


def ask(person, **request):
    reply = person.http.post("/requests", json=request).json()
    assert reply["ok"], reply
    return reply


def received(client, conv):
    """The message_ids of the conversation that the application gets, when nothing more is to come."""
    client.sync(WAIT_S)
    updates = [update.fields() for update in client.updates(timeout=0.2)]
    return [one["message_id"] for one in updates if one.get("conv") == conv]


def test_who_was_away_while_a_group_became_large_and_its_server_died_has_everything_once(
    server, people, open_client
):
    alice, bob, carol, dave = people
    conv = ask(alice, op="group.create", id="g", name="Riders", members=["bob", "carol"])["conv"]
    talking = [open_client(alice), open_client(bob)]
    away = open_client(carol)
    pending = [client.send_nowait(conv=conv, text=str(n)) for n in range(5) for client in talking]
    for one in pending:
        one.wait(WAIT_S)
    before = received(away, conv)
    assert before == list(range(1, 12))
    away.close()

    pending = [client.send_nowait(conv=conv, text=str(n)) for n in range(5, 15) for client in talking]
    joined = ask(alice, op="group.add", id="a", conv=conv, user="dave")["message_id"]
    pending += [client.send_nowait(conv=conv, text=str(n)) for n in range(15, 25) for client in talking]
    newcomer = open_client(dave)
    pending[12].wait(WAIT_S)
    server.kill()
    server.restart()
    for one in pending:
        one.wait(WAIT_S)

    away = open_client(carol)
    live = talking[0].send(conv=conv, text="to all who follow the room", timeout=WAIT_S)
    head = live.message_id
    assert head == 1 + 50 + 2 + 1
    assert before + received(away, conv) == list(range(1, head + 1))
    for client in talking:
        assert received(client, conv) == list(range(1, head + 1))
    assert received(newcomer, conv) == list(range(joined, head + 1))
    texts = [one.text for one in away.history(conv, limit=200).items if one.from_ == "bob"]
    assert texts == [str(n) for n in range(25)]
