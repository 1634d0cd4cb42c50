"""What people may know of how their devices are reached. Each answer is a reply of `pabal.messages`, with `re` as given."""

import msgspec

from bridge.store.failures import answering
from bridge.store.push_queries import SubscriptionView
from bridge.store.read_store import ReadStore
from pabal import codec
from pabal import messages as m
from pabal.errors import NotFound
from pabal.ids import DeviceId, UserId
from pabal.push import QuietHours

_hours = msgspec.json.Decoder(QuietHours)


class PushReads:
    """Safe for use by several threads. Every method raises errors.Unavailable if the database fails."""

    def __init__(self, store: ReadStore) -> None:
        self._store = store

    def subscription(self, user: UserId, device: DeviceId, re: str | None = None) -> bytes:
        """A PushState. Raises: NotFound."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.pushes.subscription(user, device)
        if found is None:
            raise NotFound(f"{device!r} has no push subscription", field="device")
        return codec.encode(_state(device, found, re))

    def subscriptions(self, user: UserId) -> list[m.PushState]:
        """Of all devices."""
        with answering(), self._store.snapshot() as snapshot:
            found = snapshot.pushes.subscriptions(user)
        return [_state(device, one, None) for device, one in found]

    def quiet(self, user: UserId, re: str | None = None) -> bytes:
        """A QuietState."""
        return codec.encode(self.quiet_state(user, re))

    def quiet_state(self, user: UserId, re: str | None = None) -> m.QuietState:
        with answering(), self._store.snapshot() as snapshot:
            found = {conv: _hours.decode(hours) for conv, hours in snapshot.pushes.quiet(user).items()}
        return m.QuietState(re=re, quiet=found.pop("", None), conversations=found)


def _state(device: DeviceId, found: SubscriptionView, re: str | None) -> m.PushState:
    shown = {
        "re": re,
        "device": device,
        "service": found.service,
        "preview": found.preview,
        "lang": found.lang,
        "since": found.since,
        "ended": found.ended,
        "quiet": None if found.quiet is None else _hours.decode(found.quiet),
    }
    return msgspec.convert(shown, m.PushState)
