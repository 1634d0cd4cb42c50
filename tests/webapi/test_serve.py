"""The real server as a process."""

import signal
import socket
import subprocess
import threading

import pytest
from account_fakes import PASSWORD
from faultlab.ports import port_of, reserved
from webapi_process import TIMEOUT_S, call, start, until


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def server(listening, tmp_path):
    process = start(tmp_path, f"fd://{listening.fileno()}", pass_fds=[listening.fileno()])
    yield process
    process.kill()
    process.wait()


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_serves_on_an_inherited_socket_and_stops_with_0_when_asked_to(server, listening, tmp_path):
    port = listening.getsockname()[1]
    assert call(port, "GET", "/healthz") == (200, {"ok": True})  # waits in the backlog until it is up
    server.send_signal(signal.SIGTERM)
    assert server.wait(TIMEOUT_S) == 0
    assert (tmp_path / "closed").read_text() == "yes"


def test_a_long_poll_is_answered_when_the_server_is_asked_to_stop(server, listening, tmp_path):
    port = listening.getsockname()[1]
    status, session = call(
        port, "POST", "/v1/sessions", {"user": "alice", "password": PASSWORD, "device": "phone"}
    )
    assert status == 201
    answers = []
    token = session["access_token"]
    poll = threading.Thread(
        target=lambda: answers.append(call(port, "GET", "/v1/sync?after=0&wait=60", token=token))
    )
    poll.start()
    until((tmp_path / "waiting").exists)
    server.send_signal(signal.SIGTERM)
    assert server.wait(TIMEOUT_S) == 0
    poll.join()
    assert [status for status, _ in answers] == [200]


def test_it_stops_by_itself_when_its_parent_is_gone(tmp_path):
    with reserved() as holder:
        port = port_of(holder)
        parent = start(tmp_path, f"127.0.0.1:{port}", "orphan", stdin=subprocess.PIPE)
        try:
            until(lambda: is_listening(port))
            assert call(port, "GET", "/healthz")[0] == 200
        finally:
            parent.kill()
            parent.communicate()
        until(lambda: not is_listening(port))
        until((tmp_path / "closed").exists)
