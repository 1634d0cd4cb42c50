"""Who talks while the stack is broken: devices of the client library, and one that has HTTP alone."""

import secrets
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pabal.errors import RateLimited, Unavailable
from pabal.messages import Committed, Send
from pabal_client import Client, Message, Rest, Snapshot, Unreachable
from stacklab.shell import StackError
from stacklab.verdict import Got, Said

if TYPE_CHECKING:
    from pabal_client.pending import PendingSend

_MOST_UNSENT = 30
_AGAIN_S = 0.3


class Speaker(Protocol):
    """One device that says one thing after the other, until it is hushed."""

    device: str

    def speak(self) -> None: ...

    def hush(self) -> None:
        """Say nothing new from here on."""
        ...

    def unanswered(self) -> int:
        """How much of what was said is not acknowledged yet."""
        ...

    def said(self) -> list[Said]: ...

    def acknowledged(self) -> int:
        """The greatest place of what is acknowledged."""
        ...

    def close(self) -> None: ...


def conversation(one: str, other: str) -> str:
    return "~".join(sorted((one, other)))


class LibrarySpeaker:
    """A device with the client library: it keeps and resends what is not acknowledged, and takes what comes.

    `handed` is what it was handed since it began, or started over with the newest of `snapshots`.
    """

    def __init__(
        self,
        user: str,
        secret: str,
        broker: str,
        tls: ssl.SSLContext,
        folder: Path,
        pace_s: float,
        listens: list[str],
    ) -> None:
        """`listens` are the conversations that it writes to, in turn."""
        self.user = user
        self.device = f"{user}:lab"
        self.handed: list[Got] = []
        self.snapshots: list[Snapshot] = []
        self._open = lambda: Client.open(
            broker,
            user=user,
            device="lab",
            password=secret,
            store=folder / f"{user}.db",
            tls=tls,
            keepalive=5,
            store_wait=10.0,
        )
        self._pace_s = pace_s
        self._convs = listens
        self._pending: list[tuple[str, str, PendingSend]] = []
        self._hushed = threading.Event()
        self._ending = threading.Event()
        self.client = self._open()
        self._threads = [threading.Thread(target=self._take, name=f"{user} takes", daemon=True)]
        self._threads[0].start()

    def speak(self) -> None:
        self._hushed.clear()
        self._threads.append(threading.Thread(target=self._talk, name=f"{self.user} talks", daemon=True))
        self._threads[-1].start()

    def hush(self) -> None:
        self._hushed.set()
        for thread in self._threads[1:]:
            thread.join(30)

    def unanswered(self) -> int:
        if self.client.error is not None:
            raise StackError(f"{self.device} ended: {self.client.error}")
        return self.client.unsent + sum(not pending.done() for _conv, _text, pending in list(self._pending))

    def said(self) -> list[Said]:
        found = []
        for place, (conv, text, pending) in enumerate(list(self._pending), 1):
            number = pending.wait(0).message_id if pending.done() else None
            found.append(Said(text, self.user, self.device, conv, place, number))
        return found

    def acknowledged(self) -> int:
        return max(
            (p for p, (_c, _t, pending) in enumerate(list(self._pending), 1) if pending.done()), default=0
        )

    def close(self) -> None:
        self.hush()
        self._ending.set()
        self._threads[0].join(30)
        self.client.close()

    def _talk(self) -> None:
        while not self._hushed.wait(self._pace_s):
            if self.client.unsent >= _MOST_UNSENT:
                continue
            place = len(self._pending) + 1
            conv, text = self._convs[place % len(self._convs)], f"{self.device} {place}"
            self._pending.append((conv, text, self.client.send_nowait(conv=conv, text=text)))

    def _take(self) -> None:
        while not self._ending.is_set():
            for update in self.client.updates(timeout=0.2):
                match update.typed():
                    case Message() as m if m.seq is not None:
                        self.handed.append(Got(m.seq, m.conv, m.message_id, m.from_, m.text or ""))
                    case Snapshot() as snapshot:
                        self.handed = []
                        self.snapshots.append(snapshot)
                    case _:
                        pass


class HttpSpeaker:
    """A device that knows nothing but HTTP: one message after the other, each sent until it is answered."""

    def __init__(self, user: str, secret: str, api: str, pace_s: float, convs: list[str]) -> None:
        self.user = user
        self.device = f"{user}:web"
        self._rest = Rest(api, token=secret, timeout=10.0)
        self._pace_s = pace_s
        self._convs = convs
        self._said: list[tuple[str, str, Committed | None]] = []
        self._hushed = threading.Event()
        self._thread: threading.Thread | None = None
        self.longest_s = 0.0
        self.failed: Exception | None = None

    def speak(self) -> None:
        self._hushed.clear()
        self._thread = threading.Thread(target=self._talk, name=f"{self.user} talks", daemon=True)
        self._thread.start()

    def hush(self) -> None:
        self._hushed.set()
        if self._thread is not None:
            self._thread.join(90)

    def unanswered(self) -> int:
        if self.failed is not None:
            raise StackError(f"{self.device} was refused: {self.failed}")
        return sum(answer is None for _conv, _text, answer in self._said)

    def said(self) -> list[Said]:
        return [
            Said(text, self.user, self.device, conv, place, None if answer is None else answer.message_id)
            for place, (conv, text, answer) in enumerate(list(self._said), 1)
        ]

    def acknowledged(self) -> int:
        return sum(answer is not None for _conv, _text, answer in list(self._said))

    def close(self) -> None:
        self.hush()
        self._rest.close()

    def _talk(self) -> None:
        while not self._hushed.wait(self._pace_s):
            place = len(self._said) + 1
            conv, text = self._convs[place % len(self._convs)], f"{self.device} {place}"
            self._said.append((conv, text, None))
            begun = time.monotonic()
            try:
                answer = self._send(conv, Send(id=f"{place}-{secrets.token_hex(8)}", text=text))
            except Exception as error:  # noqa: BLE001 -- whatever it is, `unanswered` tells it
                self.failed = error
                return
            self._said[-1] = (conv, text, answer)
            self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def _send(self, conv: str, message: Send) -> Committed:
        """Raises: PabalError if it is refused for good; StackError if nothing answers any more."""
        until = time.monotonic() + 80
        while time.monotonic() < until:
            try:
                return self._rest.send(conv, message)
            except (Unreachable, Unavailable, RateLimited):
                time.sleep(_AGAIN_S)
        raise StackError("no answer for 80 s")
