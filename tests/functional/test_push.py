"""Pushes the whole way: from a message to somebody whose app is closed, to a push service outside of all our processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest
from push_stand_in import Answer, standing_in
from push_talk import Receiver

from bridge.store.engine import open_engine, sqlite_url
from bridge.store.push_desk import PushDesk
from pabal_client import Rest

pytestmark = pytest.mark.functional

PATIENCE_S = 120
SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def _until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


class Worker:
    """`pabal push` beside a server."""

    def __init__(self, server, service):
        self._arguments = [
            sys.executable, "-m", "cli", "push", "--data", str(server.data), "--metrics=127.0.0.1:0",
            "--push-private-endpoints=localhost", f"--push-ca={service.ca_file}",
        ]  # fmt: skip
        self._log = server.folder / "push.log"

    def __enter__(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                self._arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        ready = self.process.stdout.readline()
        assert ready.startswith("pabal push ready metrics="), self._log.read_text()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_a_push_reaches_its_service_and_a_killed_workers_jobs_go_on(start_server, tmp_path):
    receiver = Receiver()
    with standing_in(tmp_path, lambda _: Answer(201)) as service:
        quiet = {"PABAL_RATE_LIMITS": "off", "PABAL_PUSH": "off", "PABAL_PUSH_PRIVATE_ENDPOINTS": "localhost"}
        server = start_server(environment=quiet)
        alice, bob = _people(server)
        assert _call(server, "GET", "/push")["services"] == ["webpush", "unifiedpush", "webhook", "stdout"]
        subscription = {"service": "webpush", "endpoint": f"{service.url}/wpush/1", "keys": receiver.keys}
        _call(server, "PUT", "/devices/phone/push", bob, subscription)

        def pushed():
            return [json.loads(receiver.read(received.body)) for received in service.requests]

        with Worker(server, service) as worker:
            _say(server, alice, "안녕")
            _until(lambda: service.requests, "the first push")
            assert (pushed()[0]["title"], pushed()[0]["body"]) == ("alice", "안녕")
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
        _say(server, alice, "while nobody sends")
        assert len(service.requests) == 1
        with Worker(server, service) as worker:
            # The lease of the one that was killed has to be over, if it had one.
            _until(lambda: any(one["body"] == "while nobody sends" for one in pushed()), "the second push")
            worker.process.send_signal(signal.SIGTERM)
            assert worker.process.wait(60) == 0
        assert [one["body"] for one in pushed()] == ["안녕", "while nobody sends"]


def test_a_process_without_the_broker_leaves_wake_ups_over_mqtt_to_the_one_that_has_it(
    start_server, tmp_path
):
    with standing_in(tmp_path, lambda _: Answer(201)) as service:
        settings = {"PABAL_RATE_LIMITS": "off"}
        server = start_server(environment=settings)
        alice, bob = _people(server)
        with Rest(f"http://127.0.0.1:{server.http}") as rest:
            small = rest.log_in("bob", "correct horse battery", "small").access_token
        _call(server, "PUT", "/devices/small/push", small, {"service": "mqtt"})
        server.stop()
        settings |= {"PABAL_PUSH": "off", "PABAL_PUSH_PRIVATE_ENDPOINTS": "localhost"}
        server.start()
        _call(
            server,
            "PUT",
            "/devices/phone/push",
            bob,
            {"service": "webhook", "url": service.url, "secret": SECRET},
        )
        engine = open_engine(sqlite_url(server.data))
        desk = PushDesk(engine)
        with Worker(server, service):
            for text in ("one", "two"):
                _say(server, alice, text)
                _until(
                    lambda said=text: any(said in str(one.body) for one in service.requests), "the webhook"
                )
                # What the webhook has got is still being sent until its answer is written.
                _until(lambda: all(one.key.device == "small" for one in desk.open_jobs(10)), "its end")
        assert [(one.key.device, one.state, one.tries) for one in desk.open_jobs(10)] == [
            ("small", "queued", 0)
        ] * 2
        assert desk.dead(10) == []
        server.stop()
        settings["PABAL_PUSH"] = "embedded"
        server.start()
        _until(lambda: not desk.open_jobs(10), "the wake-up")
        assert desk.dead(10) == []
        engine.dispose()


def test_a_newcomer_sees_pushes_in_the_log(server):
    alice, bob = _people(server)
    _call(server, "PUT", "/devices/phone/push", bob, {})
    _say(server, alice, "hello")
    _until(
        lambda: "push to bob/phone (message, badge 1): 'alice: hello'" in server.log.read_text(), "the line"
    )
    assert server.stop() == 0


def _people(server):
    """Tokens of alice's and bob's phone; nobody is connected."""
    with Rest(f"http://127.0.0.1:{server.http}") as rest:
        tokens = []
        for name in ("alice", "bob"):
            rest.sign_up(name, "correct horse battery")
            tokens.append(rest.log_in(name, "correct horse battery", "phone").access_token)
    return tokens


def _say(server, token, text):
    _call(server, "POST", "/conversations/@bob/messages", token, {"text": text})


def _call(server, method, path, token=None, body=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = httpx2.request(method, f"{server.api}{path}", json=body, headers=headers, timeout=60)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None
