"""How the parts of a client ask the server: durably, through the outbox, or as a question whose asker waits."""

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pabal import codec
from pabal import messages as m
from pabal.ids import ConvId, RequestId, UserId, parse_user
from pabal_client.effects import Entry
from pabal_client.errors import ClientError, NotConfirmed
from pabal_client.naming import conversation_of
from pabal_client.pending import Pending
from pabal_client.runner import Runner
from pabal_client.uuid7 import RANDOM_BYTES, uuid7

T = TypeVar("T")
read_committed = msgspec.json.Decoder(m.Committed).decode
read_done = msgspec.json.Decoder(m.Done).decode


def new_id() -> RequestId:
    """A fresh request id."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))


def encode(op: str, request_id: RequestId, fields: dict[str, Any]) -> bytes:
    """The request as bytes; a field that is None is left out.

    Raises: pabal.errors.BadRequest or TooLarge, as the server would answer; ClientError if it is larger than a
    packet.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    payload = msgspec.json.encode({"op": op, "id": request_id, **given})
    if len(payload) > m.MAX_PACKET_BYTES:
        raise ClientError("the message is larger than a packet may be")
    if op in m.OPS and isinstance(read := codec.decode_request(payload), codec.Rejected):
        raise read.error
    return payload


class Asking:
    """One user's way to the server. For any thread."""

    def __init__(self, runner: Runner, user: UserId) -> None:
        self._runner = runner
        self.user = user

    def conversation(self, name: str) -> ConvId:
        """`@bob` or `bob` for the one with a user, or a conversation's id. Raises: BadRequest."""
        return conversation_of(self.user, name)

    def keep(self, op: str, lane: str, read: Callable[[bytes], T], **fields: Any) -> Pending[T]:
        """Send until it is answered, over any number of connections and runs; on disk when this returns.

        What has one lane keeps its order.

        Raises: as `encode`; OutboxFull; Kicked, LoginRefused or Closed.
        """
        request_id = new_id()
        pending = Pending(request_id, read)
        payload = encode(op, request_id, fields)
        self._runner.submit(Entry(request_id, payload, lane, durable=True), pending)
        return pending

    def entry(self, op: str, conversation: str, **fields: Any) -> Pending[m.Committed]:
        """`keep` for what makes an entry in a conversation."""
        conv = self.conversation(conversation)
        return self.keep(op, conv, read_committed, conv=conv, **fields)

    def about(self, op: str, user: str, read: Callable[[bytes], T], **fields: Any) -> Pending[T]:
        """`keep` for what is between this user and another one."""
        name = parse_user(user.removeprefix("@"))
        return self.keep(op, f"@{name}", read, user=name, **fields)

    def ask(self, op: str, read: Callable[[bytes], T], timeout: float, **fields: Any) -> T:
        """Wait for the answer.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds; as `encode`.
        """
        request_id = new_id()
        pending = Pending(request_id, read)
        self._runner.submit(Entry(request_id, encode(op, request_id, fields)), pending)
        try:
            return pending.wait(timeout)
        except NotConfirmed:
            self._runner.forget(request_id)
            raise
