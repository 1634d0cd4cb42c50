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
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pabal.ids import ClientId, ConvId, UserId, parse_device, parse_user
from pabal_client import transport as t
from pabal_client.asking import Asking, new_id
from pabal_client.contacts import Blocks, Contacts
from pabal_client.delivery import Delivery, Handlers
from pabal_client.errors import ClientError, NotConfirmed
from pabal_client.events import Event
from pabal_client.groups import Groups
from pabal_client.live import Presence, Receipt, Typing
from pabal_client.looking import Looking
from pabal_client.me import Authorised, Me, PasswordSource
from pabal_client.rest import Rest
from pabal_client.runner import Runner
from pabal_client.session import Session
from pabal_client.speaking import Speaking
from pabal_client.store import Store
from pabal_client.updates import Message, SyncPage, Update

_read_page = msgspec.json.Decoder(SyncPage).decode
_chance = random.SystemRandom().random


class Client(Speaking, Looking):
    """One device of one user. Made by `Client.open`; its methods may be called by any thread.

    Large groups are followed by themselves, from when the inbox tells of them: their messages come between
    the others, in message_id order, and have no `seq`. Who leaves or is removed gets nothing more of such a
    group, also not what had not come yet.

    Messages are handed over in inbox order, each until it was taken: the handler returned, or the loop over
    `messages` asked for the next one, or the client was closed without an exception. A program that is killed
    while it handles a message gets that one again on its next start; who must tell compares `epoch`, `conv` and
    `message_id`.

    Attributes:
        groups, contacts, blocks: what can be done with them.
    """

    def __init__(self, runner: Runner, user: UserId, handlers: Handlers, http: Authorised | None) -> None:
        asking = Asking(runner, user)
        Speaking.__init__(self, asking)
        Looking.__init__(self, asking, runner)
        self.groups = Groups(asking)
        self.contacts = Contacts(asking)
        self.blocks = Blocks(asking)
        self._http = http
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
        on_live: Callable[[Typing | Receipt], None] | None = None,
        on_presence: Callable[[Presence], None] | None = None,
        http: str | None = None,
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
            on_live: told who types, and how far others have received and read; likewise, and may be lost.
            on_presence: told when the state of somebody who is watched changes; likewise.
            http: the server's HTTP address, such as `http://127.0.0.1:8080`; for `me` alone.
            suffix: tells a second connection of the same device from the first.
            keepalive: seconds of silence after which the connection is tested.
            store_wait: seconds to wait for another process to let go of the store.

        Raises: pabal.errors.BadRequest for names that are none; ClientError for an address that is none;
        StoreInUse; StoreError.
        """
        of_user, of_device = parse_user(user), parse_device(device)
        address = t.parse_address(broker)
        account = None if http is None else Authorised(Rest(http), password)
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

        handlers = Handlers(on_message, on_update, on_event, on_live, on_presence)
        runner = Runner(session, kept, connect, random=_chance, wants_events=handlers.take_events)
        client = cls(runner, of_user, handlers, account)
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
                if self._http is not None:
                    self._http.close()

    @property
    def me(self) -> Me:
        """The account of this user. Raises: ClientError where the client was opened without `http`."""
        if self._http is None:
            raise ClientError("open the client with http=… to reach the account")
        return Me(self._http)

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

    def sync(self, timeout: float = 30.0) -> int:
        """Wait until everything is received that is in the inbox, and in the large groups that are followed, at
        the time of the call. Returns the cursor.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        epoch, cursor = self._runner.position()
        page = self._asking.ask("sync", _read_page, timeout, after=cursor, epoch=epoch, limit=1)

        def is_there() -> bool:
            epoch, cursor = self._runner.position()
            if epoch != page.epoch or cursor < page.head:
                return False
            rooms = self._runner.rooms()
            return all(rooms.get(ConvId(conv), head) >= head for conv, head in page.rooms.items())

        if not is_there():
            self._runner.perform(lambda session, now: session.sync_now(now))
        if not self._wait_for(is_there, max(0.0, until - time.monotonic())):
            raise NotConfirmed(f"not everything came within {timeout:g} s", new_id())
        return self._runner.position()[1]
