"""The real server: TLS and its certificates, the ends of logins, what operators read, and what the log keeps to itself."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys

import httpx2
import pytest
from broker_client import RawClient
from people import PASSWORD, Person
from tls_files import TlsFiles

from broker.mqtt import packets as p
from broker.mqtt.reasons import Reason

pytestmark = pytest.mark.functional

WAIT = 60.0


def pabal(server, *arguments, stdin=""):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments, "--data", str(server.data)],
        input=stdin, capture_output=True, text=True, env=clean, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


async def until(condition, what):
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


@contextlib.asynccontextmanager
async def connected(port, client_id, *, tls=None, **fields):
    """Logged in, by MQTT 5."""
    extra = {} if tls is None else {"ssl": tls, "server_hostname": "localhost"}
    client = RawClient(*await asyncio.open_connection("127.0.0.1", port, **extra))
    try:
        assert (await client.login(client_id, level=p.LEVEL_5, **fields)).code == 0
        yield client
    finally:
        client.writer.transport.abort()


def serial(client):
    return client.writer.get_extra_info("peercert")["serialNumber"]


async def test_tls_certificates_figures_and_a_log_without_secrets(  # noqa: PLR0915 -- one start of a server for all
    start_server, tmp_path
):
    files = TlsFiles(tmp_path)
    server = start_server(
        "--mqtts=127.0.0.1:0", "--wss=127.0.0.1:0", "--metrics=127.0.0.1:0", "--log-level=debug",
        f"--tls-cert={files.cert}", f"--tls-key={files.key}", f"--tls-client-ca={files.client_ca}",
    )  # fmt: skip
    assert set(server.more) == {"mqtts", "wss", "metrics"}
    mqtts = server.more["mqtts"]
    pabal(server, "user", "add", "root2", "--admin", "--password-stdin", stdin=PASSWORD)
    alice, ops = Person(server.api, "alice"), Person(server.api, "root2")
    secret = alice.secret("sensor")
    tokens = [alice.session["access_token"], ops.session["access_token"]]
    refreshes = [alice.session["refresh_token"], ops.session["refresh_token"]]
    for person in (alice, ops):
        refreshed = person.http.post(
            "/sessions/refresh", json={"refresh_token": person.session["refresh_token"]}
        )
        assert refreshed.status_code in {200, 201}, refreshed.text
        tokens.append(refreshed.json()["access_token"])
        refreshes.append(refreshed.json()["refresh_token"])
    assert (
        alice.http.post(
            "/sessions", json={"user": "alice", "password": "wrong " + PASSWORD, "device": "x"}
        ).status_code
        == 401
    )

    async with (
        connected(mqtts, "alice:sensor", tls=files.trusting(), username="alice", password=secret.encode()) as sensor,
        connected(mqtts, "alice:phone", tls=files.certified("alice:phone")) as phone,
        connected(mqtts, "root2:phone", tls=files.trusting(), username="root2", password=tokens[-1].encode()) as admin,
    ):  # fmt: skip
        refused = RawClient(*await asyncio.open_connection("127.0.0.1", server.mqtt))
        await refused.send(
            p.Connect("alice:sensor", username="alice", password=b"pds_wrong" + secret.encode())
        )
        assert (await refused.closed())[0].code == 4
        await refused.close()
        await phone.subscribe(("pabal/v1/down/alice/phone", 1))
        asked = b'{"id":"1","to":"alice","text":"to myself"}'
        await phone.send(p.Publish("pabal/v1/up/alice/phone", asked))
        (reply,) = await phone.publishes(1)
        assert json.loads(reply.payload)["ok"] is True
        assert await phone.subscribe(("$SYS/#", 0)) == bytes((Reason.NOT_AUTHORIZED,))
        assert await admin.subscribe(("$SYS/#", 0)) == b"\0"
        told = {one.topic: one.payload for one in await admin.publishes(20)}
        assert told["$SYS/broker/version"].startswith(b"pabal version ")

        answer = httpx2.get(f"http://127.0.0.1:{server.more['metrics']}/metrics", timeout=WAIT)
        assert answer.status_code == 200
        lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        # The web process is a client too.
        assert float(lines["pabal_clients_connected"]) == 4
        assert float(lines["pabal_requests_accepted_total"]) >= 1
        assert float(lines["pabal_commit_seconds_count"]) >= 1

        old = serial(sensor)
        files.issue()
        os.kill(server.pid, signal.SIGHUP)
        await until(lambda: "certificates were read again" in server.log.read_text(), "the reload")
        async with connected(mqtts, "alice:phone:2", tls=files.certified("alice:phone")) as new:
            assert serial(new) != old
            newer = serial(new)
        files.cert.write_text("no certificate")
        os.kill(server.pid, signal.SIGHUP)
        await until(lambda: "certificates stay as they were" in server.log.read_text(), "the refusal")
        async with connected(mqtts, "alice:phone:2", tls=files.certified("alice:phone")) as new:
            assert serial(new) == newer
        for client in (sensor, phone, admin):
            assert p.Pingresp() in await client.until_pong() + [p.Pingresp()]

    alice.close()
    ops.close()
    server.stop()
    log = server.log.read_text()
    assert log.count("certificates stay as they were") == 1
    for kept in (PASSWORD, secret, *tokens, *refreshes, files.key.read_text().splitlines()[1]):
        assert kept not in log
    assert "to myself" not in log


def log_out(_server, person):
    assert person.http.delete("/sessions/current").status_code == 204


def delete_device(_server, person):
    assert person.http.delete("/devices/phone").status_code == 204


def delete_account(_server, person):
    answer = person.http.request("DELETE", "/me", json={"password": PASSWORD})
    assert answer.status_code in {200, 204}, answer.text


def disable(server, person):
    pabal(server, "user", "disable", person.user)


def change_password(server, person):
    pabal(server, "user", "passwd", person.user, "--password-stdin", stdin="another " + PASSWORD)


ENDS = {"ann": log_out, "ben": delete_device, "cid": delete_account, "dan": disable, "eve": change_password}


async def test_whatever_ends_a_login_ends_its_connections_and_says_so(server):
    async with contextlib.AsyncExitStack() as stack:
        people, clients = {}, {}
        for user in ENDS:
            people[user] = person = Person(server.api, user)
            stack.callback(person.close)
            password = person.session["access_token"].encode()
            clients[user] = client = await stack.enter_async_context(
                connected(server.mqtt, f"{user}:phone", username=user, password=password)
            )
            await client.subscribe((f"pabal/v1/down/{user}/phone", 1))
        for user, end in ENDS.items():
            await asyncio.to_thread(end, server, people[user])
            told, last = await clients.pop(user).closed(WAIT)
            assert json.loads(told.payload)["type"] == "kicked"
            assert isinstance(last, p.Disconnect)
            assert last.reason == Reason.ADMINISTRATIVE_ACTION
            again = await RawClient.open(server.mqtt)
            token = people[user].session["access_token"].encode()
            await again.send(p.Connect(f"{user}:phone", username=user, password=token))
            assert (await again.closed())[0].code == 4
            await again.close()
            for other in clients.values():
                await other.ping()


def request(person, **fields):
    """Over HTTP, as any device may; it has to be accepted."""
    answer = person.http.post("/requests", json={"id": fields["op"], **fields})
    assert answer.json().get("ok") is True, answer.text
    return answer.json()


async def test_who_leaves_a_group_hears_no_more_of_it(server):
    async with contextlib.AsyncExitStack() as stack:
        alice, bob = Person(server.api, "alice"), Person(server.api, "bob")
        stack.callback(alice.close)
        stack.callback(bob.close)
        conv = request(alice, op="group.create", name="riders", members=["bob"])["conv"]
        room = f"pabal/v1/room/{conv}"
        client = await stack.enter_async_context(
            connected(server.mqtt, "bob:phone", username="bob", password=bob.session["access_token"].encode())
        )
        assert await client.subscribe((room, 0)) == b"\0"
        request(bob, op="group.leave", conv=conv)
        async with asyncio.timeout(WAIT):
            while await client.subscribe((room, 0)) == b"\0":
                await client.unsubscribe(room)
        request(alice, op="send", conv=conv, text="without you")
        assert [one for one in await client.until_pong() if one.topic == room] == []
