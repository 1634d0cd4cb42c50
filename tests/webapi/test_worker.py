"""What strangers send to the real server, which runs as a process with four threads."""

import json
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException

import pytest
from account_fakes import PASSWORD
from webapi_process import TIMEOUT_S, call, start, until

HALF_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
HALF_BODY = (
    b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
HALF_CHUNK = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LOGIN = {"user": "alice", "password": PASSWORD, "device": "phone"}
PATIENT = {"head_timeout_s": 600, "body_timeout_s": 600, "linger_s": 600}


def is_up(port):
    """Where its time for a request is short, a slow machine may need another one, and find the first one cut off."""
    try:
        return call(port, "GET", "/healthz")[0] == 200
    except (ConnectionError, HTTPException):
        return False


@contextmanager
def serving(folder, log=None, **settings):
    """The port of a server that answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        descriptor = listening.fileno()
        more = {} if log is None else {"stderr": log}
        process = start(folder, f"fd://{descriptor}", json.dumps(settings), pass_fds=[descriptor], **more)
        try:
            port = listening.getsockname()[1]
            until(lambda: is_up(port))
            yield port
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """One that would wait for its clients for ten minutes."""
    folder = tmp_path_factory.mktemp("patient")
    with (folder / "log").open("w") as log, serving(folder, log, **PATIENT) as port:
        yield port, folder / "log"


@pytest.fixture
def port(patient):
    return patient[0]


def connect(port, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S, source_address=(source, 0))


def received(client):
    """All until the server closes."""
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def exchange(port, data, source="127.0.0.1"):
    with connect(port, source) as client:
        client.sendall(data)
        return received(client)


def assert_problem(answer, status, code="bad_request"):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    document = json.loads(body)
    assert (document["status"], document["code"]) == (status, code)


@pytest.mark.parametrize("half", [HALF_HEAD, HALF_BODY, HALF_CHUNK, b""])
def test_120_half_requests_keep_nobody_else_waiting(port, half):
    with ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(connect(port)).sendall(half)
        assert call(port, "GET", "/healthz")[0] == 200


def test_120_who_do_not_close_when_they_were_answered_keep_nobody_else_waiting(port):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(120)]
        for client in clients:
            client.sendall(CLOSING)
        assert all(received(client).endswith(b'{"ok":true}') for client in clients)
        assert call(port, "GET", "/healthz")[0] == 200


def test_what_comes_in_pieces_is_answered(port):
    with connect(port) as client:
        for at in range(len(CLOSING)):
            client.sendall(CLOSING[at : at + 1])
        assert received(client).endswith(b'{"ok":true}')


def test_a_connection_is_used_for_many_requests_also_when_they_come_together(port):
    answer = exchange(port, WHOLE * 3 + CLOSING)
    assert answer.count(b"200 OK") == 4


def test_a_connection_is_used_on_after_a_long_body_that_nobody_read(port):
    unread = b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    first, second = exchange(port, unread + CLOSING).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"404 ")
    assert second.startswith(b"200 ")


def test_a_body_in_chunks_is_read(port):
    body = json.dumps(LOGIN).encode()
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(port, head + b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:]))
    assert answer.startswith(b"HTTP/1.1 201 ")


def test_who_waits_for_100_continue_is_told_to(port):
    body = json.dumps(LOGIN).encode()
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
    with connect(port) as client:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert received(client).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (HALF_CHUNK.replace(b"20\r\n", b"zz\r\n"), 400, "bad_request"),
        (HALF_CHUNK.replace(b"20\r\n", b"fffffff\r\n"), 413, "too_large"),
        (HALF_BODY.replace(b"100", b"999999999"), 413, "too_large"),
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "bad_request"),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 9000 + b"\r\n\r\n", 431, "bad_request"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", 417, "bad_request"),
    ],
)
def test_what_is_no_request_is_refused_with_a_problem_and_fills_no_log(patient, data, status, code):
    port, log = patient
    assert_problem(exchange(port, data), status, code)
    assert call(port, "GET", "/healthz")[0] == 200
    assert log.read_text() == ""


def test_the_answer_to_a_body_that_is_too_large_arrives_while_it_is_still_sent(port):
    body = b"x" * 500_000
    assert_problem(exchange(port, HALF_BODY.replace(b"100", b"500001") + body), 413, "too_large")


# The body is so long that no server is slow enough for all of it to come before the deadline is looked at.
@pytest.mark.parametrize("half", [HALF_HEAD, HALF_BODY.replace(b"100", b"100000")])
def test_a_request_that_trickles_is_ended_at_its_deadline(tmp_path, half):
    brief = {"head_timeout_s": 1, "body_timeout_s": 1, "linger_s": 600}
    with serving(tmp_path, **brief) as port, connect(port) as client:
        client.sendall(half)
        answered = threading.Event()

        def trickle():
            while not answered.wait(0.05):
                try:
                    client.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert_problem(client.recv(65_536), 408)
        finally:
            answered.set()
            thread.join()


def test_a_kept_connection_is_closed_when_nothing_more_comes(tmp_path):
    with serving(tmp_path, keepalive_s=1) as port:
        assert exchange(port, WHOLE).endswith(b'{"ok":true}')


# The answers to `serving` come from another address: the server may still count a connection that was just closed.
STRANGER = "127.0.0.2"


def test_one_address_has_a_bound_of_connections_and_gets_them_back(tmp_path):
    with serving(tmp_path, connections_per_address=3, **PATIENT) as port:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(connect(port, STRANGER)).sendall(HALF_HEAD)
            answer = exchange(port, WHOLE, STRANGER)
            assert_problem(answer, 503, "unavailable")
            assert b"Retry-After: 1" in answer
            assert exchange(port, CLOSING).startswith(b"HTTP/1.1 200 ")
        until(lambda: exchange(port, CLOSING, STRANGER).startswith(b"HTTP/1.1 200 "))


def test_beyond_twice_the_bound_a_connection_ends_without_an_answer(tmp_path):
    with serving(tmp_path, connections_per_address=1, **PATIENT) as port, ExitStack() as stack:
        # One behind the other: the second is only counted for as long as the server says goodbye to it.
        first, second, third = (stack.enter_context(connect(port, STRANGER)) for _ in range(3))
        first.sendall(HALF_HEAD)
        with suppress(ConnectionError):
            third.sendall(WHOLE)
            assert received(third) == b""
        assert_problem(received(second), 503, "unavailable")


def test_long_polls_are_held_as_long_as_they_ask_for(port):
    token = call(port, "POST", "/v1/sessions", LOGIN)[1]["access_token"]
    status, page = call(port, "GET", "/v1/sync?after=0&wait=1", token=token)
    assert (status, page["items"]) == (200, [])


def test_half_requests_do_not_hold_up_the_stop(tmp_path):
    with serving(tmp_path, graceful_timeout_s=1, **PATIENT) as port, ExitStack() as stack:
        for half in (b"", HALF_HEAD, HALF_BODY):
            stack.enter_context(connect(port)).sendall(half)
        assert call(port, "GET", "/healthz")[0] == 200
