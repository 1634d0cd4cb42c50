"""`pabal broker --open` as a process."""

import re
import signal
import subprocess
import sys

import pytest
from people import Plain, wait_for

pytestmark = pytest.mark.functional

READY = re.compile(r"^pabal ready mqtt=(\S+):(\d+)(?: ws=(\S+):(\d+))?\n$")


@pytest.fixture
def open_broker():
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "broker", "--open", "--mqtt", "127.0.0.1:0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        ready = READY.match(process.stdout.readline())
        assert ready is not None
        return process, ready

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_anybody_may_subscribe_to_anything_but_what_is_denied(open_broker):
    process, ready = open_broker("--ws", "127.0.0.1:0", "--deny", "no/#", "--deny", "never")
    over_tcp = Plain(int(ready[2]), "anybody", "anything").connect()
    over_ws = Plain(int(ready[4]), "somebody", "anything", transport="websockets").connect()
    try:
        for client in (over_tcp, over_ws):
            assert client.subscribe("yes/please", "no/thanks", "never", "yes/#") == [1, 128, 128, 1]
        over_ws.publish("yes/please", {"said": "thank you"})
        wait_for(lambda: over_tcp.on("yes/please"), "the message")
    finally:
        over_tcp.close()
        over_ws.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_without_a_websocket_address_there_is_none(open_broker):
    process, ready = open_broker()
    assert ready[4] is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
