"""What a client asks: pages of what was, and who is there. Nothing of it is kept."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from pabal.ids import parse_user
from pabal_client.asking import Asking
from pabal_client.live import Presence
from pabal_client.rest import FoundUsers
from pabal_client.runner import Runner
from pabal_client.updates import ConversationList, HistoryPage, read_history

MAX_PRESENCE: Final = 200


class _PresenceReply(msgspec.Struct, frozen=True):
    presence: list[Presence] = []


_read_users = msgspec.json.Decoder(FoundUsers).decode
_read_conversations = msgspec.json.Decoder(ConversationList).decode
read_presence = msgspec.json.Decoder(_PresenceReply).decode


class Looking:
    """The part of `Client` that asks and waits, and what is not worth waiting for: typing and presence.

    A question raises: PabalError if it is refused; NotConfirmed after `timeout` seconds.
    """

    def __init__(self, asking: Asking, runner: Runner) -> None:
        self._asking = asking
        self._runner = runner

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
        """
        conv = self._asking.conversation(conversation)
        return self._asking.ask(
            "history", read_history, timeout, conv=conv, before=before, after=after, limit=limit
        )

    def conversations(
        self, *, after: str | None = None, limit: int = 100, timeout: float = 30.0
    ) -> ConversationList:
        """A page of the conversations, by id."""
        return self._asking.ask("conversations", _read_conversations, timeout, after=after, limit=limit)

    def presence(self, users: Iterable[str], *, timeout: float = 30.0) -> Mapping[str, Presence]:
        """The state of each of these users now, at most 200 of them. Of who is not to be seen it is `offline`."""
        names = [parse_user(user.removeprefix("@")) for user in users]
        reply = self._asking.ask("presence", read_presence, timeout, users=names)
        return {one.user: one for one in reply.presence}

    def search(self, text: str, *, limit: int = 20, timeout: float = 30.0) -> FoundUsers:
        """People whose user name or display name begins so; who does not want to be found is not."""
        return self._asking.ask("users", _read_users, timeout, q=text, limit=limit)

    def watch(self, users: Iterable[str]) -> None:
        """Have `on_presence` called with each change of state of these users, until `unwatch`.

        Who is not to be seen yet is tried again, now and then and when contacts or groups change. The client
        forgets them when it is closed. At most 1,000 are followed.
        """
        names = [parse_user(user.removeprefix("@")) for user in users]
        self._runner.perform(lambda session, now: session.watch(names, now))

    def unwatch(self, users: Iterable[str]) -> None:
        names = [parse_user(user.removeprefix("@")) for user in users]
        self._runner.perform(lambda session, now: session.unwatch(names, now))

    def status(self, state: Literal["online", "away", "offline"]) -> None:
        """What others see of this device while it is connected; kept over connections, not over runs. `offline`: it
        is not to be seen.
        """
        self._runner.perform(lambda session, _now: session.set_status(state))

    def typing(self, conv: str, on: bool = True) -> None:
        """Tell the others of a conversation that this user types. To be called with each key, or as often as one
        likes: it is said anew every three seconds, and not at all without a connection.
        """
        where = self._asking.conversation(conv)
        self._runner.perform(lambda session, now: session.say_typing(where, on, now))
