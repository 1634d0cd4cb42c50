"""A deployment of roles: brokers and web processes as processes of their own, on one database."""

import contextlib
import json
import threading
import time

import httpx2
import pytest
from faultlab.ports import port_of, reserved
from people import Person, Plain, wait_for
from redis_server import RedisServer
from role_process import RoleProcess
from tls_files import TlsFiles

from bridge.backplane import bells
from bridge.store import maintenance
from bridge.store.engine import open_engine

pytestmark = pytest.mark.functional

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HELD = "another server holds the database; standing by"


@pytest.fixture
def run(tmp_path):
    """`run("webapi", *arguments)` starts a role, which ends with the test."""
    made = []

    def start(role, *arguments, **options):
        made.append(RoleProcess(tmp_path / f"{role}{len(made)}.log", role, *arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def closing():
    with contextlib.ExitStack() as stack:
        yield lambda one: stack.enter_context(contextlib.closing(one))


@pytest.fixture
def url(postgres):
    made = postgres.fresh()
    yield made
    postgres.give_back(made)


@pytest.fixture
def port():
    """`port()` is `HOST:PORT` that nobody else is given until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda: f"127.0.0.1:{port_of(stack.enter_context(reserved()))}"


def broker_at(mqtt, data, *more, health="127.0.0.1:0"):
    return ("broker", "--mqtt", mqtt, "--ws=127.0.0.1:0", "--metrics", health, "--data", str(data), *more)


def webapi_of(mqtt, data, *more, http="127.0.0.1:0"):
    metrics = "--web-metrics=127.0.0.1:0"
    return ("webapi", metrics, "--http", http, "--relay", f"mqtt://{mqtt}", "--data", str(data), *more)


def status(address, path):
    answer = httpx2.get(f"http://{address}{path}", timeout=60)
    return answer.status_code, answer.json()


def waits(person, after=0):
    """A long poll under way; called, it gives what it brought."""
    brought = []

    def poll():
        answer = person.http.get("/sync", params={"after": after, "wait": 60})
        brought.extend(answer.json()["items"])

    thread = threading.Thread(target=poll)
    thread.start()

    def end():
        thread.join(90)
        return brought

    return end


def steps(role):
    """What the log of a role tells of the request that is followed."""
    events = map(json.loads, role.log.read_text().splitlines())
    return sorted(event["event"] for event in events if event.get("trace_id") == TRACE)


def test_a_broker_with_a_standby_and_two_web_processes_on_postgresql(run, closing, tmp_path, url, port):
    mqtt, health = port(), port()
    shared = ("--database-url", url, "--keys-file", str(tmp_path / "keys" / "keys.json"))
    first = run(*broker_at(mqtt, tmp_path / "b1", *shared)).await_ready()
    standby = run(*broker_at(mqtt, tmp_path / "b2", *shared, health=health))
    one, other = [run(*webapi_of(mqtt, tmp_path / f"w{n}", *shared)) for n in (1, 2)]
    wait_for(lambda: HELD in standby.log.read_text(), "the standby to stand by", 150)
    assert status(first.bound["health"], "/readyz") == (200, {"ready": True})
    assert status(health, "/healthz") == (200, {"ok": True})
    assert status(health, "/readyz") == (503, {"ready": False, "detail": "standby"})

    # Sign up at one, log in at the other, send at one, long poll at the other, and MQTT at the broker.
    api, its = (f"{web.await_ready().url()}/v1" for web in (one, other))
    alice, bob, elsewhere = (
        closing(Person(*who)) for who in ((api, "alice"), (api, "bob"), (its, "bob", "pad"))
    )
    assert elsewhere.session["mqtt"]["tcp"] == f"mqtt://{mqtt}"
    secret, number = bob.secret("cli"), first.port("mqtt")
    device = closing(Plain(number, "bob:cli", secret, clean=False)).connect()
    device.subscribe("pabal/v1/inbox/bob")
    news = waits(elsewhere)
    assert alice.send("bob", "one", id="1").status_code == 201
    assert [item["text"] for item in news()] == ["one"]
    wait_for(lambda: device.seqs("bob") == [1])

    # One web process and the broker are gone at once; the standby takes over, and the other web process goes on.
    one.kill()
    first.kill()
    killed = time.monotonic()
    standby.await_ready()
    # On an idle machine it is well below five.
    assert time.monotonic() - killed < 30
    assert status(health, "/readyz") == (200, {"ready": True})
    alice = closing(Person(its, "alice"))
    wait_for(lambda: alice.send("bob", "one", id="1").status_code == 200, "the web process to find it")
    assert alice.send("bob", "two", id="2").json()["message_id"] == 2
    again = closing(Plain(number, "bob:cli", secret, clean=False)).connect()
    assert again.session_present
    wait_for(lambda: again.seqs("bob")[-1:] == [2])
    assert (other.stop(), standby.stop()) == (0, 0)
    assert "Traceback" not in standby.log.read_text() + other.log.read_text()
    engine = open_engine(url, read_only=True)
    assert [finding for finding in maintenance.check(engine) if finding.breaches] == []
    engine.dispose()


def test_on_one_sqlite_folder_a_broker_and_a_web_process_work_and_no_second_broker(
    run, closing, tmp_path, port
):
    data, mqtt, http = tmp_path / "data", port(), port()
    broker = run(*broker_at(mqtt, data)).await_ready()
    refused = run(*broker_at("127.0.0.1:0", data))
    assert refused.process.wait(60) == 1
    said = refused.log.read_text()
    assert f"error: a server with pid {broker.process.pid} already uses {data}" in said
    assert said.count("\n") == 1
    assert broker.stop() == 0

    # Without its broker it starts, is not ready, and says so once.
    web = run(*webapi_of(mqtt, data, "--log-format=json", http=http))
    wait_for(lambda: "the broker cannot be reached" in web.log.read_text())
    assert status(http, "/healthz") == (200, {"ok": True})
    code, problem = status(http, "/readyz")
    assert (code, problem["detail"]) == (503, "the relay cannot be reached")
    broker = run(*broker_at(mqtt, data, "--log-format=json")).await_ready()
    web.await_ready()
    assert web.log.read_text().count("cannot be reached") == 1
    alice = closing(Person(f"http://{http}/v1", "alice"))
    alice.http.headers["traceparent"] = f"00-{TRACE}-00f067aa0ba902b7-01"
    assert alice.send("alice", "a note").headers["traceparent"] == f"00-{TRACE}-00f067aa0ba902b7-01"
    assert steps(web) == ["http"]
    wait_for(lambda: steps(broker) == ["commit", "fan out", "request"], "the steps of the broker")
    figures = httpx2.get(f"{web.url('metrics')}/metrics", timeout=60).text
    route = 'route="POST /v1/conversations/<conv>/messages"'
    assert f'pabal_web_answers_total{{{route},status="201"}} 1.0' in figures
    assert "pabal_web_relay_seconds_count 1.0" in figures
    assert status(web.bound["metrics"], "/readyz") == (200, {"ready": True})
    # Whichever of them goes first.
    assert broker.stop() == 0
    assert web.stop() == 0


def test_a_web_process_of_another_secret_is_not_let_in(run, tmp_path, port):
    mqtt = port()
    broker = run(*broker_at(mqtt, tmp_path)).await_ready()
    stranger = run(*webapi_of(mqtt, tmp_path), environment={"PABAL_SERVICE_SECRET": "another secret for it"})
    wait_for(lambda: "refused the webapi's credential" in stranger.log.read_text())
    assert stranger.stop() == 0
    assert broker.stop() == 0


def test_over_tls_and_redis_the_roles_find_each_other_and_a_standby_is_not_listed(
    run, closing, tmp_path, url, port
):
    tls, valkey = TlsFiles(tmp_path), closing(RedisServer(tmp_path / "valkey")).start()
    ca = tmp_path / "ca.pem"
    tls.servers.cert_pem.write_to_path(str(ca))
    shared = ("--database-url", url, "--redis-url", valkey.url)
    keys = ("--keys-file", str(tmp_path / "keys" / "keys.json"))
    mqtts = port()
    secure = ("--mqtts", mqtts, f"--tls-cert={tls.cert}", f"--tls-key={tls.key}")

    def broker(name):
        told = f"--public-mqtt=mqtts://{name}.example:8883"
        # Else it may send the push itself, before the one who is to be seen at it.
        return run(*broker_at("127.0.0.1:0", tmp_path / name, told, "--push=off", *secure, *shared, *keys))

    first = broker("first").await_ready()
    standby = broker("second")
    wait_for(lambda: HELD in standby.log.read_text(), "the standby to stand by", 150)
    relay = ("--relay", f"mqtts://{mqtts}", f"--relay-ca={ca}")
    web = run(
        "webapi", "--http=127.0.0.1:0", "--web-metrics=off", "--data", str(tmp_path / "w"), *relay, *shared, *keys
    )  # fmt: skip
    push = run("push", "--metrics=127.0.0.1:0", "--data", str(tmp_path / "p"), *shared).await_ready()
    api = f"{web.await_ready().url()}/v1"
    alice, bob = (closing(Person(api, who)) for who in ("alice", "bob"))

    def listed():
        return [one["tcp"] for one in alice.http.get("/brokers").json()["brokers"]]

    wait_for(lambda: listed() == ["mqtts://first.example:8883"], "the broker to be listed")
    # What is sent goes to the relay over TLS, and wakes the push worker over Redis.
    wait_for(lambda: valkey.ask("PUBSUB", "NUMSUB", f"pabal:0:{bells.PUSH}")[1] == 1, "push to listen")
    assert bob.http.put("/devices/phone/push", json={}).status_code < 300
    assert alice.send("bob", "hello", id="1").status_code == 201
    wait_for(lambda: "push to bob/phone (message, badge 1): 'alice: hello'" in push.log.read_text())
    first.kill()
    standby.await_ready()
    wait_for(lambda: listed() == ["mqtts://second.example:8883"], "the standby to be listed in its place")
    wait_for(lambda: alice.send("bob", "again", id="2").status_code == 201, "the way over TLS to the other")
    assert (web.stop(), push.stop(), standby.stop()) == (0, 0, 0)
