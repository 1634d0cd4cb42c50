"""gunicorn's threaded worker, except that no stranger can hold one of its threads.

The main thread reads requests, closes connections and keeps their deadlines, without ever blocking; a thread gets
a request that is all there. gunicorn itself would give a thread to every connection that sent a byte, without a
deadline, and would wait in the main thread for each peer to close.

gunicorn has no types, which is what every `no-untyped-call` below is about.
"""

import errno
import ipaddress
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from selectors import EVENT_READ, BaseSelector
from typing import TYPE_CHECKING, Any

from flask import Flask
from gunicorn.http import errors
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

from webapi import problems
from webapi.app import stop_waiting
from webapi.request_reader import Refusal, RequestReader, Stage, Whole

if TYPE_CHECKING:
    from concurrent.futures import Future

    from webapi.settings import ServeSettings

_log = logging.getLogger("pabal.webapi")
_CHUNK = 64 * 1024
_LINGER_BYTES = 1024 * 1024
# Kept-alive connections get this long when the server stops; what comes on them meanwhile is answered.
_STOP_S = 2.0
_LOOK_S = 0.25
# Room for a whole answer, so that a thread need not wait for who reads slowly.
_SEND_BUFFER = 512 * 1024
_UNAVAILABLE = 503
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    ((errors.InvalidResponseHeader, errors.InvalidResponseHeaderName), None),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


class Connection(TConn):
    """One client. The main thread's, except between `enqueue_req` and `finish_request`."""

    parser: Any

    def __init__(self, worker: "Worker", sock: socket.socket, client: Any, server: Any, place: str) -> None:
        super().__init__(worker.cfg, sock, client, server)  # type: ignore[no-untyped-call]
        self.place = place
        self.reader = RequestReader(worker.wsgi.config["MAX_CONTENT_LENGTH"])
        self.request = Whole(b"")
        # None: only closing is left to do.
        self.stage: Stage | None = Stage.HEAD
        self.deadline = time.monotonic() + worker.settings.head_timeout_s
        self.drained = 0
        self.data_ready = True  # or a thread would wait for it
        self._answer_timeout_s = worker.settings.answer_timeout_s

    def init(self) -> None:
        """Called in a thread: all of the request is here, so the socket is for the answer alone."""
        self.sock.settimeout(self._answer_timeout_s)
        content = iter([self.request.content])
        self.parser = RequestParser(self.cfg, content, self.client)  # type: ignore[no-untyped-call]


class Worker(ThreadWorker):
    """`app` has its ServeSettings as `settings`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.settings: ServeSettings = self.app.settings
        # Those that no thread has, and how many there are of each address.
        self._waiting: set[Connection] = set()
        self._per_place: Counter[str] = Counter()
        self._look_at = 0.0
        self._is_stopping = False

    # What gunicorn calls in the main thread

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Long polls are answered now, so that they do not hold up the stop. There is no application yet where this
        comes at the very start.
        """
        application = getattr(self, "wsgi", None)
        if isinstance(application, Flask):
            stop_waiting(application)
        super().handle_exit(sig, frame)  # type: ignore[no-untyped-call]

    def accept(self, listener: Any) -> None:
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                _log.error("a connection cannot be taken: %s", error.strerror)
                time.sleep(_LOOK_S)  # some will be closed at their deadlines
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        place, most = _place(client), self.settings.connections_per_address
        # Some above the bound are told so; whoever opens still more learns it by the end of the connection.
        if self._per_place[place] >= 2 * most:
            sock.close()
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection = Connection(self, sock, client, listener.getsockname(), place)
        self.nr_conns += 1
        self._per_place[place] += 1
        self._watch(connection, self._on_readable)
        if self._per_place[place] > most:
            self._refuse(connection, Refusal(503, "too many connections from this address"))

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """A thread is done with it."""
        if fs.cancelled() or fs.exception() is not None:
            self._drop(conn)
        elif fs.result():
            conn.sock.setblocking(False)
            conn.stage = Stage.IDLE
            conn.deadline = time.monotonic() + self.settings.keepalive_s
            self._watch(conn, self._on_readable)
            self._advance(conn)
        else:
            self._end(conn)

    def murder_pending(self) -> None:
        """Called at least once a second: whatever is past its deadline ends."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        if not self.alive and not self._is_stopping:
            self._is_stopping = True
            for one in self._waiting:
                if one.stage is Stage.IDLE:
                    one.deadline = min(one.deadline, now + _STOP_S)
        for one in [one for one in self._waiting if one.deadline <= now]:
            if one.stage in {Stage.HEAD, Stage.BODY}:
                self._refuse(one, Refusal(408, "the request did not come in time"))
            else:
                self._drop(one)

    def murder_keepalived(self, force: bool = False) -> None:
        """With `force`: the server stops, and nothing is waited for any more."""
        if force:
            for one in list(self._waiting):
                self._drop(one)

    # What gunicorn calls in a thread

    def handle_request(self, req: Any, conn: Connection) -> bool:
        if conn.request.closes:
            req.force_close()
        try:
            keeps: bool = super().handle_request(req, conn)  # type: ignore[no-untyped-call]
        except TimeoutError:
            return False  # nobody takes the answer
        if keeps:
            # A body that was not read. gunicorn skips 64 KiB of it, and closes a connection that it has just said it
            # would keep; here all of it has come.
            conn.parser.finish_body()
        return keeps

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answers what gunicorn cannot parse; strangers fill no log with it."""
        status = next((status for kind, status in _STATUS if isinstance(exc, kind)), None)
        if status is None:
            _log.error("a request from %s failed", addr, exc_info=exc)
            answer = _answer(500, "internal_error", "the server has a fault; it is in its log")
        else:
            _log.info("a request from %s cannot be read: %s", addr, exc)
            answer = _answer(status, "bad_request", str(exc))
        try:
            client.sendall(answer)
        except OSError as error:
            _log.debug("a refusal was not sent: %s", error)

    # Steps of a connection, all in the main thread

    def _watch(self, one: Connection, on_readable: Callable[[Connection], None]) -> None:
        self._waiting.add(one)
        self._poller().register(one.sock, EVENT_READ, lambda _sock: on_readable(one))

    def _poller(self) -> BaseSelector:
        poller: BaseSelector | None = self.poller
        if poller is None:
            raise AssertionError("made before the first connection is taken")
        return poller

    def _unwatch(self, one: Connection) -> None:
        if one in self._waiting:
            self._waiting.remove(one)
            self._poller().unregister(one.sock)

    def _on_readable(self, one: Connection) -> None:
        data = _received(one)
        if data == b"":
            self._drop(one)
        elif data is not None:
            one.reader.feed(data)
            self._advance(one)

    def _advance(self, one: Connection) -> None:
        read = one.reader.take()
        if isinstance(read, Refusal):
            self._refuse(one, read)
        elif read is not None:
            self._unwatch(one)
            one.request = read
            self.enqueue_req(one)  # type: ignore[no-untyped-call]
        else:
            self._wait_on(one)

    def _wait_on(self, one: Connection) -> None:
        """Each stage has its own deadline, which what comes meanwhile does not put off."""
        if one.reader.take_continue():
            _send(one, _CONTINUE)
        stage = one.reader.stage
        if stage is one.stage or stage is Stage.IDLE:
            return
        one.stage = stage
        timeout_s = self.settings.head_timeout_s if stage is Stage.HEAD else self.settings.body_timeout_s
        one.deadline = time.monotonic() + timeout_s

    def _refuse(self, one: Connection, refusal: Refusal) -> None:
        code, retry_after = ("unavailable", 1) if refusal.status == _UNAVAILABLE else ("bad_request", None)
        _send(one, _answer(refusal.status, code, refusal.detail, retry_after))
        self._end(one)

    def _end(self, one: Connection) -> None:
        """Close when the peer has closed, or soon: a close at once could destroy the answer on its way."""
        self._unwatch(one)
        one.stage = None
        one.deadline = time.monotonic() + self.settings.linger_s
        try:
            one.sock.setblocking(False)
            one.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(one)
        else:
            self._watch(one, self._on_drained)

    def _on_drained(self, one: Connection) -> None:
        data = _received(one)
        if data is None:
            return
        one.drained += len(data)
        if not data or one.drained > _LINGER_BYTES:
            self._drop(one)

    def _drop(self, one: Connection) -> None:
        self._unwatch(one)
        self.nr_conns -= 1
        self._per_place[one.place] -= 1
        if not self._per_place[one.place]:
            del self._per_place[one.place]
        one.close()  # type: ignore[no-untyped-call]


def _place(client: Any) -> str:
    """What counts as one address: of IPv6 the /64, because whoever has one address of it has all."""
    if not isinstance(client, tuple):
        return ""  # a Unix socket
    address = ipaddress.ip_address(client[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _received(one: Connection) -> bytes | None:
    """What has come; None if nothing has after all, and b"" at the end."""
    try:
        data: bytes = one.sock.recv(_CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    return data


def _send(one: Connection, answer: bytes) -> None:
    """What is short enough for the socket's buffer; a peer that is gone is noticed when it is read from."""
    try:
        one.sock.send(answer)
    except OSError as error:
        _log.debug("a refusal was not sent: %s", error)


def _answer(status: int, code: str, detail: str, retry_after: int | None = None) -> bytes:
    """A problem document as the last answer of a connection."""
    made = problems.response(status, code, detail, retry_after=retry_after)
    made.headers["Connection"] = "close"
    head = [f"HTTP/1.1 {made.status}", *(f"{name}: {value}" for name, value in made.headers)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + made.get_data()
