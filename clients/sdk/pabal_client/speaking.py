"""What a client says: messages, and what is done about them later. All of it is kept until it is answered."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pabal.ids import direct, parse_conv, parse_user
from pabal.messages import Committed, Done, ReportDone
from pabal_client.asking import Asking, read_committed, read_done
from pabal_client.pending import Pending, PendingSend

_read_report = msgspec.json.Decoder(ReportDone).decode


class Speaking:
    """The part of `Client` that changes conversations.

    Each call puts its request on disk, to be sent until it is answered, over any number of connections and runs,
    and done once; what has one conversation keeps its order. `wait` of what is returned waits for the answer.

    Each raises: pabal.errors.BadRequest or TooLarge for what the server would refuse; OutboxFull; Kicked,
    LoginRefused or Closed. A conversation is named by its id, or as `bob` or `@bob` for the one with that user.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

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
        expires_in: int | None = None,
        timeout: float | None = 30.0,
    ) -> Committed:
        """Send a message and wait until the server has it on disk.

        Raises: PabalError if it is refused; NotConfirmed after `timeout` seconds, with the message still in
        the outbox; OutboxFull; Kicked, LoginRefused or Closed.
        """
        return self.send_nowait(
            to=to,
            conv=conv,
            text=text,
            body=body,
            kind=kind,
            reply_to=reply_to,
            mentions=mentions,
            expires_in=expires_in,
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
        expires_in: int | None = None,
    ) -> PendingSend:
        """Put a message into the outbox. It is on disk when this returns, and sent in order per conversation.

        Args:
            to: a user, or `conv`: a conversation's id.
            reply_to: the message_id of the message that this one answers.
            mentions: who is meant by it; `@all` in a group, for its owner and admins.
            expires_in: seconds after which its content goes, everywhere.
        """
        return self._send(
            to,
            conv,
            text=text,
            body=body,
            kind=None if kind == "text" else kind,
            reply_to=reply_to,
            mentions=list(mentions) or None,
            expires_in=expires_in,
        )

    def _send(self, to: str | None, conv: str | None, **fields: Any) -> PendingSend:
        user = self._asking.user
        lane = parse_conv(conv) if conv is not None else direct(user, parse_user(to, field="to"))
        return self._asking.keep("send", lane, read_committed, to=to, conv=conv, **fields)

    def forward(
        self,
        source: str,
        message_id: int,
        *,
        to: str | None = None,
        conv: str | None = None,
        text: str | None = None,
    ) -> PendingSend:
        """Send on a message of the conversation `source`, as it is there now, or with a `text` of one's own."""
        of = {"conv": self._asking.conversation(source), "message_id": message_id}
        return self._send(to, conv, text=text, forward_of=of)

    def edit(
        self, conv: str, target: int, *, text: str | None = None, body: dict[str, Any] | None = None
    ) -> Pending[Committed]:
        """Another content for one's own message; what is left out is gone from it."""
        return self._asking.entry("edit", conv, target=target, text=text, body=body)

    def recall(self, conv: str, target: int) -> Pending[Committed]:
        """The content of a message goes, for everybody: one's own, or as a group's owner or admin."""
        return self._asking.entry("recall", conv, target=target)

    def react(self, conv: str, target: int, emoji: str, *, remove: bool = False) -> Pending[Committed]:
        """Put an emoji under a message, or take it back."""
        return self._asking.entry("react", conv, target=target, emoji=emoji, remove=remove or None)

    def delete(self, conv: str, target: int) -> Pending[Done]:
        """The message goes for oneself alone, on all one's devices."""
        lane = self._asking.conversation(conv)
        return self._asking.keep("delete", lane, read_done, conv=lane, target=target)

    def read(self, conv: str, message_id: int) -> Pending[Done]:
        """Everything up to here was read: told to one's other devices, and to the others as a receipt."""
        lane = self._asking.conversation(conv)
        return self._asking.keep("read", lane, read_done, conv=lane, message_id=message_id)

    def mute(self, conv: str, *, until: int | None = None) -> Pending[Done]:
        """No notifications of this conversation for oneself, up to `until` (milliseconds since 1970 UTC) or until
        `unmute`. It is told to one's other devices.
        """
        return self._mute(conv, until=until)

    def unmute(self, conv: str) -> Pending[Done]:
        return self._mute(conv, remove=True)

    def _mute(self, conv: str, **fields: Any) -> Pending[Done]:
        lane = self._asking.conversation(conv)
        return self._asking.keep("mute", lane, read_done, conv=lane, **fields)

    def report(
        self,
        reason: str,
        *,
        user: str | None = None,
        conv: str | None = None,
        message_id: int | None = None,
        text: str | None = None,
    ) -> Pending[ReportDone]:
        """Tell the server's admins about a user, or about a message of a conversation."""
        where = None if conv is None else self._asking.conversation(conv)
        whom = None if user is None else parse_user(user.removeprefix("@"))
        return self._asking.keep(
            "report",
            "report",
            _read_report,
            user=whom,
            conv=where,
            message_id=message_id,
            reason=reason,
            text=text,
        )
