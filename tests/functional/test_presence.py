"""Presence of a real server over real sockets: a group of 50 in which everybody follows everybody, and a `kill -9`."""

import asyncio

import httpx2
import msgspec
import pytest
from broker_client import RawClient
from people import Person

from bridge.accounts.bearer import SECRET_PREFIX, hash_of
from bridge.store.engine import open_engine, sqlite_url
from bridge.store.tables import account, device
from broker.mqtt import packets as p

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

DEADLINE_S = 120
ONLINE, AWAY, OFFLINE = (b'{"state":"%b"}' % state for state in (b"online", b"away", b"offline"))


class Town:
    """Users of one server, put into its database: fifty sign-ups would take longer than all the rest. The last one has
    signed up, and is logged in on a device for settings.
    """

    def __init__(self, server, users):
        self.server = server
        self.users = users
        self.clients = []
        self.last = Person(server.api, users[-1], "desk")
        engine = open_engine(sqlite_url(server.data))
        with engine.begin() as connection:
            for user in users[:-1]:
                connection.execute(
                    account.insert(), {"user_id": user, "state": "active", "admin": False, "created_ts": 0}
                )
            for user in users:
                row = {"user_id": user, "device_id": "phone", "cursor": 0, "created_ts": 0}
                row |= {"allow": "send receive", "secret_hash": hash_of(self.secret(user))}
                connection.execute(device.insert(), row)
        engine.dispose()

    @staticmethod
    def secret(user):
        return f"{SECRET_PREFIX}{user}-of-this-town"

    async def client(self, user, suffix=""):
        fields = {"username": user, "password": self.secret(user).encode()}
        client = await RawClient.open(self.server.mqtt)
        self.clients.append(client)
        assert (await client.login(f"{user}:phone{suffix}", **fields)).code == 0
        return client

    async def ask(self, who, **request):
        """The reply to a request over MQTT, on a connection of its own beside the one of that device."""
        client = await self.client(who, suffix=":asks")
        assert await client.subscribe((f"pabal/v1/down/{who}/phone", 0)) == b"\x00"
        content = msgspec.json.encode({"id": request["op"], **request})
        await client.send(p.Publish(f"pabal/v1/up/{who}/phone", content))
        (reply,) = await client.publishes(1)
        await client.disconnect()
        answer = msgspec.json.decode(reply.payload)
        assert answer["ok"], answer
        return answer

    async def group(self):
        """Of everybody, owned by the first."""
        members = self.users[1:]
        return (await self.ask(self.users[0], op="group.create", name="All of us", members=members))["conv"]

    async def everybody(self):
        return {user: await self.client(user) for user in self.users}


@pytest.fixture
async def town_of(server):
    towns = []

    def found(*users):
        towns.append(Town(server, users))
        return towns[-1]

    yield found
    for town in towns:
        town.last.close()
        for client in town.clients:
            await client.close()


def topic(user):
    return f"pabal/v1/presence/{user}"


async def say(client, user, state, n):
    await client.publish(
        f"pabal/v1/status/{user}/phone", b'{"state":"%b","n":%d}' % (state, n), 1, retain=True
    )


async def test_fifty_who_follow_each_other_are_2450_subscriptions_and_49_deliveries_for_a_change(town_of):
    users = [f"u{number:02}" for number in range(50)]
    town = town_of(*users)
    clients = await town.everybody()
    conv = await town.group()
    subscriptions = 0
    for user, client in clients.items():
        codes = await client.subscribe(*((topic(other), 0) for other in users if other != user))
        subscriptions += codes.count(0)
    assert subscriptions == 50 * 49 == 2450

    async def told(*expected):
        """What each of them is told until here, and nothing else; a change does not go to who makes it."""
        deliveries = 0
        for user, client in clients.items():
            messages = [one for one in await client.until_pong() if one.topic != topic(user)]
            wanted = [change for change in expected if change[0] != topic(user)]
            assert [(one.topic, one.payload) for one in messages] == wanted
            deliveries += len(messages)
        return deliveries

    for user, client in clients.items():
        states = [(one.topic, one.payload, one.retain) for one in await client.publishes(49)]
        assert sorted(states) == [(topic(other), ONLINE, True) for other in users if other != user]
    # Each change is acknowledged before the next is made, and told before it is acknowledged.
    await say(clients["u07"], "u07", b"away", 1)
    assert await told((topic("u07"), AWAY)) == 49
    await say(clients["u07"], "u07", b"away", 1)
    await say(clients["u09"], "u09", b"away", 1)
    assert await told((topic("u09"), AWAY)) == 49

    # A connection that takes the place of another: nobody hears of it.
    clients["u11"] = await town.client("u11")
    await clients["u11"].subscribe(*((topic(other), 0) for other in users if other != "u11"))
    await clients["u11"].publishes(49)
    await say(clients["u09"], "u09", b"online", 1)
    assert await told((topic("u09"), ONLINE)) == 49

    # Who is put out of the group sees nobody of it any longer, and is seen by nobody.
    await town.ask("u00", op="group.remove", conv=conv, user="u13")
    outside = clients.pop("u13")
    lost = {one.topic: one.payload for one in await outside.publishes(49)}
    assert lost == {topic(other): OFFLINE for other in users if other != "u13"}
    for client in clients.values():
        (last,) = await client.publishes(1)
        assert (last.topic, last.payload) == (topic("u13"), OFFLINE)
    await say(outside, "u13", b"away", 1)
    await say(clients["u07"], "u07", b"online", 1)
    assert await told((topic("u07"), ONLINE)) == 48
    assert await outside.until_pong() == []

    # A block parts two of them, and a choice one from everybody, though the group goes on.
    await town.ask("u00", op="block.add", user="u01")
    for user, other in (("u00", "u01"), ("u01", "u00")):
        (last,) = await clients[user].publishes(1)
        assert (last.topic, last.payload) == (topic(other), OFFLINE)
    chosen = town.last.http.patch("/me", json={"privacy": {"presence": "nobody"}})
    assert chosen.status_code == 200, chosen.text
    for client in (client for user, client in clients.items() if user != "u49"):
        (last,) = await client.publishes(1)
        assert (last.topic, last.payload) == (topic("u49"), OFFLINE)
    shown = httpx2.get(
        f"{town.server.api}/presence?users=u00,u49,u07,u01",
        headers={"Authorization": f"Bearer {town.secret('u01')}"},
        timeout=DEADLINE_S,
    ).json()["presence"]
    assert [(one["user"], one["state"]) for one in shown] == [
        ("u00", "offline"), ("u49", "offline"), ("u07", "online"), ("u01", "online")
    ]  # fmt: skip
    await say(clients["u49"], "u49", b"away", 1)
    await say(clients["u07"], "u07", b"away", 2)
    assert await told((topic("u07"), AWAY)) == 48


async def test_after_a_kill_the_truth_is_back_for_who_came_back_and_for_who_did_not(server, town_of):
    town = town_of("alice", "bob", "carol")
    clients = await town.everybody()
    await town.group()
    bob = clients["bob"]
    assert await bob.subscribe((topic("alice"), 0), (topic("carol"), 0)) == b"\x00\x00"
    assert {one.payload for one in await bob.publishes(2)} == {ONLINE}
    await say(clients["carol"], "carol", b"away", 1)
    assert [one.payload for one in await bob.publishes(1)] == [AWAY]
    await written_down(server, {topic("alice"): ONLINE, topic("carol"): AWAY})
    server.kill()
    server.restart()
    bob = await town.client("bob")
    assert await bob.subscribe((topic("alice"), 0), (topic("carol"), 0)) == b"\x00\x00"
    before = {one.topic: one.payload for one in await bob.publishes(2)}
    assert before[topic("alice")] in {
        ONLINE,
        OFFLINE,
    }  # the latter if this machine stood still for half a minute
    await town.client("carol")
    seen = {topic("carol"): [before[topic("carol")]], topic("alice"): [before[topic("alice")]]}
    async with asyncio.timeout(DEADLINE_S):
        while seen[topic("carol")][-1] != ONLINE or seen[topic("alice")][-1] != OFFLINE:
            (one,) = await bob.publishes(1)
            seen[one.topic].append(one.payload)
    reply = await town.ask("bob", op="presence", users=["alice", "carol", "nobody"])
    assert [one["state"] for one in reply["presence"]] == ["offline", "online", "offline"]


async def written_down(server, rows):
    """Returns when the database says so."""
    engine = open_engine(sqlite_url(server.data), read_only=True)
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT topic, payload FROM retained").all()
            if rows.items() <= {name: bytes(payload) for name, payload in found}.items():
                break
            await asyncio.sleep(0.05)
    engine.dispose()
