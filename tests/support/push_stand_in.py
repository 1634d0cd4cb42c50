"""A push service to send to: HTTP/2 over TLS, in a thread of its own, answering as a script says.

It plays whatever is asked of it; `apple.py` and `google.py` beside it know what those two check.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

START_S = 30.0


@dataclass(frozen=True)
class Answer:
    """`never`: nothing is answered, and the connection stays; `breaks`: it goes no further than the middle of the answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    never: bool = False
    breaks: bool = False


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    http_version: str


Rule = Callable[[Received], Answer]


def _good(_: Received) -> Answer:
    return Answer()


class StandIn:
    """Answers by `scripted` while there is something in it for a path's beginning, and by `rule` after that.

    `peers` are the connections that requests came by. `url` is its base; its certificate is for localhost and 127.0.0.1, and signed by the CA in `ca_file`.
    """

    def __init__(self, folder: Path, rule: Rule | None = None) -> None:
        self.rule = rule or _good
        self.requests: list[Received] = []
        self.peers: set[tuple[str, int]] = set()
        self._scripted: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._came = threading.Condition()
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = folder / "push-ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def reset(self) -> None:
        """Forget what came and what was to be answered."""
        with self._came:
            self.rule = _good
            self.requests = []
            self.peers = set()
            self._scripted.clear()

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def script(self, path: str, *answers: Answer) -> None:
        """For the next requests whose path begins so."""
        self._scripted[path].extend(answers)

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Until it holds, looked at after each request. Fails the test if it does not in time."""
        with self._came:
            assert self._came.wait_for(condition, timeout_s), f"came: {self.requests!r}"

    def start(self) -> None:
        made = self._authority.issue_cert("localhost", "127.0.0.1")
        made.private_key_and_cert_chain_pem.write_to_path(str(self._folder / "push-server.pem"))
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        config = Config()
        config.bind = [f"fd://{self._socket.detach()}"]
        config.certfile = config.keyfile = str(self._folder / "push-server.pem")
        config.graceful_timeout = 0.1
        config.shutdown_timeout = 0.1
        config.accesslog = config.errorlog = None
        config.keep_alive_timeout = 60
        config.keep_alive_max_requests = 1_000_000
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(serve(self._app, config, shutdown_trigger=self._stop.wait))  # type: ignore[arg-type]
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _app(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        self.peers.add(tuple(scope["client"]))
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        answer = self._answer(
            Received(scope["method"], scope["raw_path"].decode(), headers, body, scope["http_version"])
        )
        if answer.never:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        told = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        if answer.breaks:
            told.append((b"content-length", b"1000000"))
        await send({"type": "http.response.start", "status": answer.status, "headers": told})
        if answer.breaks:
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            raise ConnectionAbortedError("as the script has it")
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, received: Received) -> Answer:
        with self._came:
            waiting = [
                answers
                for path, answers in self._scripted.items()
                if answers and received.path.startswith(path)
            ]
            answer = waiting[0].popleft() if waiting else self.rule(received)
            self.requests.append(received)
            self._came.notify_all()
        return answer


@contextlib.contextmanager
def standing_in(folder: Path, rule: Rule | None = None) -> Iterator[StandIn]:
    service = StandIn(folder, rule)
    service.start()
    try:
        yield service
    finally:
        service.stop()
