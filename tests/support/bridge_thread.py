"""A real bridge in a thread of its own, for callers that block: webapi's relay and database at once."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from bridge_fakes import FakeBroker, FakeTicket

from bridge.build import Bridge
from pabal.ids import DeviceId, UserId

_DEADLINE_S = 60


class _Broker(FakeBroker):
    """Hands the replies to a service over to whoever waits for them."""

    def __init__(self, replied: Callable[[str, bytes], None]) -> None:
        super().__init__()
        self._replied = replied

    def publish(self, topic: str, payload: bytes, qos: int, trace: str | None = None) -> None:  # noqa: ARG002 -- as the port has it
        super().publish(topic, payload, qos)
        if topic == "pabal/v1/svc/web/down":
            reply = msgspec.json.decode(payload, type=_Reply)
            self._replied(reply.ref, bytes(reply.reply))


class _Reply(msgspec.Struct):
    ref: str
    reply: msgspec.Raw


class BridgeThread:
    """`webapi.ports.RelayClient`; `bridge.reads` is the `Reads` beside it."""

    def __init__(self, bridge: Bridge, loop: asyncio.AbstractEventLoop) -> None:
        self.bridge = bridge
        self.broker = _Broker(self._take)
        self._loop = loop
        self._refs = itertools.count()
        self._replies: dict[str, bytes] = {}
        self._changed = threading.Condition()

    def connected(self) -> bool:
        return True

    def ask(self, user: UserId, device: DeviceId, request: bytes) -> bytes:
        ref = str(next(self._refs))
        asked = {"ref": ref, "as": {"user": user, "device": device}, "request": msgspec.Raw(request)}
        self._loop.call_soon_threadsafe(
            self.bridge.relay.submit_service, "web", msgspec.json.encode(asked), FakeTicket()
        )
        with self._changed:
            assert self._changed.wait_for(lambda: ref in self._replies, _DEADLINE_S)
            return self._replies.pop(ref)

    def _take(self, ref: str, reply: bytes) -> None:
        with self._changed:
            self._replies[ref] = reply
            self._changed.notify_all()


@contextmanager
def running_bridge(url: str, **options: object) -> Iterator[BridgeThread]:
    """Over the migrated database of `url`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        bridge = Bridge(url, **options)
        made = BridgeThread(bridge, loop)
        asyncio.run_coroutine_threadsafe(bridge.start(made.broker), loop).result(_DEADLINE_S)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(bridge.stop(), loop).result(_DEADLINE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_DEADLINE_S)
        loop.close()


def inbox(broker: FakeBroker, user: str) -> Sequence[dict]:
    return [update for _seq, update in broker.inboxes.get(user, [])]
