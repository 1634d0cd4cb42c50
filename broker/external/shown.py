"""What is retained at another broker on the bridge's behalf: who is online. It may forget it, and is then told again."""

from typing import TYPE_CHECKING, Final

from pabal import topics
from pabal.ids import DeviceId, UserId

if TYPE_CHECKING:
    from broker.external.sending import Sending

# Users of whom statuses are remembered, so that they can be taken away with the account.
_MOST_USERS: Final = 200_000


class Shown:
    """Presence topics with what they say, and whose statuses the broker has."""

    def __init__(self, sending: "Sending") -> None:
        self._sending = sending
        self._said: dict[str, bytes] = {}
        self._passing: set[str] = set()
        self._statuses: dict[UserId, set[DeviceId]] = {}

    def announce(self, topic: str, payload: bytes, *, keep: bool) -> None:
        """Retained, also without `keep`: who subscribes later finds it either way. `keep` says whether it has to be
        told again when the broker has forgotten everything.
        """
        if self._sending.publish(topic, payload, 0, retain=True) and not keep:
            self._said.pop(topic, None)
            self._passing.discard(topic)
            return
        self._said[topic] = payload
        if keep:
            self._passing.discard(topic)
        else:
            self._passing.add(topic)

    def tell(self) -> None:
        """There is a new link."""
        for topic, payload in self._said.items():
            self._sending.publish(topic, payload, 0, retain=True, must=True)
        for topic in self._passing:
            del self._said[topic]
        self._passing.clear()

    def heard(self, user: UserId, device: DeviceId, *, said: bool) -> None:
        """The broker has a status of this device, or (`said` False) has none any more."""
        if said:
            if len(self._statuses) < _MOST_USERS or user in self._statuses:
                self._statuses.setdefault(user, set()).add(device)
            return
        devices = self._statuses.get(user)
        if devices is not None:
            devices.discard(device)
            if not devices:
                del self._statuses[user]

    def forget(self, user: UserId, device: DeviceId | None) -> None:
        """Take away what is retained of this device (None: of all of the user's, and the presence)."""
        known = self._statuses.get(user, set())
        gone = [one for one in known if device in {None, one}]
        left = [topics.status(user, one) for one in gone]
        if device is None:
            left.append(topics.presence(user))
            self._said.pop(topics.presence(user), None)
            self._passing.discard(topics.presence(user))
        for topic in left:
            self._sending.publish(topic, b"", 1, retain=True, must=True)
