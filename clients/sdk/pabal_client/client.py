"""The client for applications.

Everything that is sent is on disk here before it is on its way, and everything that comes is on disk here
before the server hears that it arrived; so a client may lose its connection or be killed at any point and goes
on where it was.

>>> with Client.open(broker, user="alice", device="laptop", password=secret, store=folder / "a.db") as client:
...     committed = client.send(to="bob", text="hi")
...     for message in client.messages(timeout=60):
...         print(message.from_, message.text)
...         break
alice hi
>>> committed.message_id
1

In the callback style, `on_message` is called for one message after the other, in a thread of the client:

>>> def reply(message):
...     if message.from_ != "bob" and message.kind == "text":
...         bob.send_nowait(conv=message.conv, text=f"got {message.text!r}")
>>> bob = Client.open(
...     broker, user="bob", device="bot", password=secret, store=folder / "b.db", on_message=reply
... )
>>> with Client.open(broker, user="alice", device="phone", password=secret, store=folder / "c.db") as client:
...     for message in client.messages(timeout=60):
...         if message.from_ == "bob":
...             print(message.text)
...             break
got 'hi'
>>> bob.close()
"""

import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec

from pabal import codec
from pabal import messages as m
from pabal.ids import ClientId, ConvId, RequestId, UserId, direct, parse_conv, parse_device, parse_user
from pabal_client import transport as t
from pabal_client.delivery import Delivery, Handlers
from pabal_client.effects import Entry
from pabal_client.errors import ClientError, NotConfirmed
from pabal_client.events import Event
from pabal_client.naming import conversation_of
from pabal_client.pending import Pending, PendingSend
from pabal_client.runner import Runner
from pabal_client.session import Session
from pabal_client.store import Store
from pabal_client.updates import ConversationList, HistoryPage, Message, SyncPage, Update, read_history
from pabal_client.uuid7 import RANDOM_BYTES, uuid7

T = TypeVar("T")
_chance = random.SystemRandom().random


class PasswordSource(Protocol):
    """Gives the password (access token or device secret) of the next connection.

    `refused`: the broker did not take the last one. Raises: Unreachable to be asked again later; Unauthorized
    to end the client.
    """

    def __call__(self, *, refused: bool) -> str: ...


def new_id() -> RequestId:
    """A fresh request id."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))


class Client:
    """One device of one user. Made by `Client.open`; its methods may be called by any thread.

    Large groups are followed by themselves, from when the inbox tells of them: their messages come between
    the others, in message_id order, and have no `seq`. Who leaves or is removed gets nothing more of such a
    group, also not what had not come yet.

    Messages are handed over in inbox order, each until it was taken: the handler returned, or the loop over
    `messages` asked for the next one, or the client was closed without an exception. A program that is killed
    while it handles a message gets that one again on its next start; who must tell compares `epoch`, `conv` and
    `message_id`.
    """

    def __init__(self, runner: Runner, user: UserId, handlers: Handlers) -> None:
        self._runner = runner
        self._user = user
        self._delivery = Delivery(runner, handlers)
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        broker: str,
        *,
        user: str,
        device: str,
        password: str | PasswordSource,
        store: str | os.PathLike[str],
        receive: bool = True,
        on_message: Callable[[Message], None] | None = None,
        on_update: Callable[[Update], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        suffix: str | None = None,
        tls: ssl.SSLContext | None = None,
        keepalive: int = 30,
        store_wait: float = 0.0,
    ) -> "Client":
        """Open the store and begin to connect; returns at once, also while the server cannot be reached.

        Args:
            broker: `mqtt://host:port`, `mqtts://…`, `ws://host:port/mqtt` or `wss://…`.
            password: an access token or device secret, or a callable that gives one for each connection.
            store: a file of this device alone, made if missing.
            receive: False for a client that only sends and asks.
            on_message: called for each message, one after the other. One that raises is called again with the
                same message after 1, 2, 4 … 60 seconds; nothing overtakes it.
            on_update: likewise for all other updates. Without it they are passed over.
            on_event: told of the connection and of the fate of messages; what it raises is logged.
            suffix: tells a second connection of the same device from the first.
            keepalive: seconds of silence after which the connection is tested.
            store_wait: seconds to wait for another process to let go of the store.

        Raises: pabal.errors.BadRequest for names that are none; ClientError for an address that is none;
        StoreInUse; StoreError.
        """
        of_user, of_device = parse_user(user), parse_device(device)
        address = t.parse_address(broker)
        kept = Store(Path(store), of_user, of_device, wait=store_wait)
        epoch, cursor = kept.position()
        session = Session(
            user=of_user,
            device=of_device,
            new_id=new_id,
            random=_chance,
            epoch=epoch,
            cursor=cursor,
            rooms=kept.rooms(),
            entries=kept.outbox(),
            receive=receive,
        )

        def connect(n: int, *, refused: bool) -> t.Transport:
            secret = password if isinstance(password, str) else password(refused=refused)
            login = t.Login(str(ClientId(of_user, of_device, suffix)), of_user, secret)
            return t.Link(address, login, session.status("offline", n), tls=tls, keepalive=keepalive)

        handlers = Handlers(on_message, on_update, on_event)
        runner = Runner(session, kept, connect, random=_chance, wants_events=on_event is not None)
        client = cls(runner, of_user, handlers)
        runner.start()
        client._delivery.start()
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._close(took_last=kind is None)

    def close(self) -> None:
        """Take leave of the server and close the store. Unsent messages stay in the outbox. Never fails twice."""
        self._close(took_last=True)

    def _close(self, *, took_last: bool) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._runner.stop()
            try:
                self._delivery.close(took_last=took_last)
            finally:
                self._runner.close()

    @property
    def online(self) -> bool:
        """Whether the connection stands and is subscribed."""
        return self._runner.online

    @property
    def error(self) -> Exception | None:
        """What ended the client for good, such as Kicked; None while it runs."""
        return self._runner.ended

    @property
    def unsent(self) -> int:
        """How many messages wait in the outbox for the server's word."""
        return self._runner.unsent()

    def wait_online(self, timeout: float) -> None:
        """Raises: TimeoutError after `timeout` seconds; the error that ended the client."""
        if not self._wait_for(lambda: self._runner.online, timeout):
            raise TimeoutError(f"not connected within {timeout:g} s")

    def flush(self, timeout: float) -> None:
        """Wait until the outbox is empty.

        Raises: TimeoutError after `timeout` seconds; the error that ended the client.
        """
        if not self._wait_for(lambda: self._runner.unsent() == 0, timeout):
            raise TimeoutError(f"{self.unsent} messages are unsent after {timeout:g} s")

    def _wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._runner.changed:
            self._runner.changed.wait_for(lambda: condition() or self._runner.ended is not None, timeout)
            if not condition() and self._runner.ended is not None:
                raise self._runner.ended
            return condition()

    def send(
        self,
        *,
        to: str | None = None,
        conv: str | None = None,
        text: str | None = None,
        body: dict[str, Any] | None = None,
        kind: str = "text",
        reply_to: int | None = None,
        mentions: Sequence[str] = (),
        timeout: float | None = 30.0,
    ) -> m.Committed:
        """Send a message and wait until the server has it on disk.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds, with the message still in
        the outbox; OutboxFull; Kicked, LoginRefused or Closed.
        """
        return self.send_nowait(
            to=to, conv=conv, text=text, body=body, kind=kind, reply_to=reply_to, mentions=mentions
        ).wait(timeout)

    def send_nowait(
        self,
        *,
        to: str | None = None,
        conv: str | None = None,
        text: str | None = None,
        body: dict[str, Any] | None = None,
        kind: str = "text",
        reply_to: int | None = None,
        mentions: Sequence[str] = (),
    ) -> PendingSend:
        """Put a message into the outbox. It is on disk when this returns, and sent in order per conversation.

        Raises: pabal.errors.BadRequest or TooLarge for what the server would refuse; OutboxFull; Kicked,
        LoginRefused or Closed.
        """
        request = m.Send(
            id=new_id(),
            to=to,
            conv=conv,
            text=text,
            body=body,
            kind=kind,
            reply_to=reply_to,
            mentions=list(mentions),
        )
        payload = _checked(request)
        lane = parse_conv(conv) if conv is not None else direct(self._user, parse_user(to, field="to"))
        return self._submit(request, payload, lane, msgspec.json.Decoder(m.Committed).decode)

    def read(self, conv: str, message_id: int) -> Pending[m.Done]:
        """Tell the server, and so the other devices, that everything up to here was read. Kept like a message."""
        request = m.Read(id=new_id(), conv=parse_conv(conv), message_id=message_id)
        return self._submit(request, _checked(request), ConvId(conv), msgspec.json.Decoder(m.Done).decode)

    def _submit(
        self, request: m.AnyRequest, payload: bytes, lane: ConvId, read: Callable[[bytes], T]
    ) -> Pending[T]:
        request_id = RequestId(str(request.id))
        pending = Pending(request_id, read)
        self._runner.submit(Entry(request_id, payload, lane, durable=True), pending)
        return pending

    def messages(self, timeout: float | None = None) -> Iterator[Message]:
        """The messages, as they come, each after the one before was taken. Ends when none has come for
        `timeout` seconds (None: never), or when the client is closed.

        Raises: the error that ended the client, after what had come before it; ClientError beside `on_message`.
        """
        updates = self.updates(timeout)
        return (message for update in updates if (message := update.message()))

    def updates(self, timeout: float | None = None) -> Iterator[Update]:
        """Like `messages`, with all other updates and snapshots too."""
        return self._delivery.updates(timeout)

    def history(
        self,
        conversation: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
        timeout: float = 30.0,
    ) -> HistoryPage:
        """A page of the conversation with this user, or of this conversation: the newest messages below `before`,
        or the oldest above `after`, in message_id order. `@name` is always a user.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds.
        """
        conv = self._conversation(conversation)
        request = m.History(id=new_id(), conv=conv, before=before, after=after, limit=limit)
        return self._ask(request, read_history, timeout)

    def conversations(
        self, *, after: str | None = None, limit: int = 100, timeout: float = 30.0
    ) -> ConversationList:
        """A page of the conversations, by id. Raises: as `history`."""
        request = m.Conversations(id=new_id(), after=after, limit=limit)
        return self._ask(request, msgspec.json.Decoder(ConversationList).decode, timeout)

    def sync(self, timeout: float = 30.0) -> int:
        """Wait until everything is received that is in the inbox, and in the large groups that are followed, at
        the time of the call. Returns the cursor.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        epoch, cursor = self._runner.position()
        request = m.Sync(id=new_id(), after=cursor, epoch=epoch, limit=1)
        page = self._ask(request, msgspec.json.Decoder(SyncPage).decode, timeout)

        def is_there() -> bool:
            epoch, cursor = self._runner.position()
            if epoch != page.epoch or cursor < page.head:
                return False
            rooms = self._runner.rooms()
            return all(rooms.get(ConvId(conv), head) >= head for conv, head in page.rooms.items())

        if not is_there():
            self._runner.sync_now()
        if not self._wait_for(is_there, max(0.0, until - time.monotonic())):
            raise NotConfirmed(f"not everything came within {timeout:g} s", RequestId(str(request.id)))
        return self._runner.position()[1]

    def _conversation(self, name: str) -> ConvId:
        return conversation_of(self._user, name)

    def _ask(self, request: m.AnyRequest, read: Callable[[bytes], T], timeout: float) -> T:
        request_id = RequestId(str(request.id))
        pending = Pending(request_id, read)
        self._runner.submit(Entry(request_id, _checked(request)), pending)
        try:
            return pending.wait(timeout)
        except NotConfirmed:
            self._runner.forget(request_id)
            raise


def _checked(request: m.AnyRequest) -> bytes:
    """The request as bytes. Raises: the refusal that the server would answer with."""
    payload = msgspec.json.encode(request)
    if len(payload) > m.MAX_PACKET_BYTES:
        raise ClientError("the message is larger than a packet may be")
    read = codec.decode_request(payload)
    if isinstance(read, codec.Rejected):
        raise read.error
    return payload
