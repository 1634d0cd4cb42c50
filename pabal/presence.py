"""Who is online: what the connections and statuses of a user's devices come to, and when others are told.

Events go in, changes come out. All times are seconds of any one clock that does not go back; nothing here looks at a
clock, so whoever owns a `Roster` asks it for what is `due`.
"""

import heapq
from typing import Literal, NamedTuple

import msgspec

from pabal.errors import BadRequest
from pabal.ids import DeviceId, UserId
from pabal.messages import Number

State = Literal["online", "away", "offline"]

# How long a device may be gone without a word before others are told.
LINGER_S = 10.0
# How long those who were there before a restart may take to come back.
GRACE_S = 25.0
# Of one user so many changes are told at once, and in the long run one in so many seconds.
BURST = 5
EVERY_S = 1.0
MAX_STATUS_BYTES = 512

_RANK: dict[State, int] = {"offline": 0, "away": 1, "online": 2}


class Status(msgspec.Struct, frozen=True):
    """What a device says of itself. `n` counts its connections; without it nothing can be told to be older."""

    state: State | None
    n: Number | None = None


class Change(NamedTuple):
    """Others are to be told."""

    user: UserId
    state: State


_status = msgspec.json.Decoder(Status)
_CLEARED = Status(None)


def read_status(payload: bytes) -> Status:
    """The payload of a `status` topic; an empty one takes back what was said.

    Raises: BadRequest.
    """
    if not payload:
        return _CLEARED
    if len(payload) > MAX_STATUS_BYTES:
        raise BadRequest(f"a status has at most {MAX_STATUS_BYTES} bytes")
    try:
        status = _status.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(str(error)) from error
    if status.state is None:
        raise BadRequest("'online', 'away' or 'offline'", field="state")
    return status


def payload_of(state: State) -> bytes:
    """What `presence/{user}` carries."""
    return b'{"state":"%b"}' % state.encode()


class _Device:
    """Attributes:
    connections: those that stand, by client id.
    status: what it said last, None if nothing.
    n: the newest that it said since it is here.
    leaves_at: it has gone without a word, and counts until then.
    """

    __slots__ = ("connections", "leaves_at", "n", "status")

    def __init__(self) -> None:
        self.connections: set[str] = set()
        self.status: State | None = None
        self.n: int | None = None
        self.leaves_at: float | None = None

    @property
    def state(self) -> State:
        if self.status is not None:
            return self.status
        return "online" if self.is_here else "offline"

    @property
    def is_here(self) -> bool:
        return bool(self.connections) or self.leaves_at is not None

    @property
    def is_over(self) -> bool:
        return not self.is_here and self.status in {None, "offline"}


class _User:
    """Attributes:
    shown: what others were told.
    free_at: when nothing is held back any longer; each change that is told moves it by EVERY_S.
    wakes_at: when the roster looks again, None: not of itself.
    """

    __slots__ = ("devices", "free_at", "shown", "wakes_at")

    def __init__(self, now: float) -> None:
        self.devices: dict[DeviceId, _Device] = {}
        self.shown: State = "offline"
        self.free_at = now
        self.wakes_at: float | None = None

    def state(self) -> State:
        return max(
            (device.state for device in self.devices.values()), key=_RANK.__getitem__, default="offline"
        )

    @property
    def may_tell_at(self) -> float:
        return self.free_at - (BURST - 1) * EVERY_S


class Roster:
    """All users of whom anything is known: those with a device here, and for seconds those who just left.

    A device is here while a connection of it stands, or while its status says so where connections are not known
    (behind another broker). A user is `online` if any device is, else `away` if any is.
    """

    __slots__ = ("_users", "_wakes", "linger_s", "online")

    def __init__(self, linger_s: float = LINGER_S) -> None:
        """`online` is how many users are shown as online or away."""
        self.linger_s = linger_s
        self.online = 0
        self._users: dict[UserId, _User] = {}
        # (when, whose); an entry counts only if it is the one that its user waits for.
        self._wakes: list[tuple[float, UserId]] = []

    def state_of(self, user: UserId) -> State:
        """What others were told. May be asked in any thread."""
        known = self._users.get(user)
        return "offline" if known is None else known.shown

    def is_here(self, user: UserId, device: DeviceId) -> bool:
        """Whether a connection of this device stands."""
        known = self._users.get(user)
        found = None if known is None else known.devices.get(device)
        return found is not None and bool(found.connections)

    def is_reached(self, user: UserId) -> bool:
        """Whether a device of this user is here, or others are told that one is. May be asked in any thread."""
        known = self._users.get(user)
        if known is None:
            return False
        return known.shown != "offline" or any(found.is_here for found in list(known.devices.values()))

    def knows(self, user: UserId, device: DeviceId) -> bool:
        """Whether it is here, or has said something that still counts."""
        known = self._users.get(user)
        return known is not None and device in known.devices

    def __len__(self) -> int:
        return len(self._users)

    # -- what happens

    def suspect(self, user: UserId, state: State, until: float, now: float) -> None:
        """Others were told so before a restart, and it is left at that until a device says something or the time is over.
        For users who are not known yet.
        """
        one = self._users[user] = _User(now)
        one.shown = state
        self.online += state != "offline"
        self._wake(user, one, until)

    def connected(self, user: UserId, device: DeviceId, connection: str, now: float) -> Change | None:
        """`connection` is its client id; an earlier connection of that id has ended before."""
        one, found = self._known(user, device, now)
        found.leaves_at = None
        found.connections.add(connection)
        return self._settle(user, one, now)

    def disconnected(
        self, user: UserId, device: DeviceId, connection: str, now: float, *, clean: bool
    ) -> Change | None:
        """`clean`: the client said that it goes."""
        one = self._users.get(user)
        found = None if one is None else one.devices.get(device)
        if one is None or found is None or connection not in found.connections:
            return None
        found.connections.discard(connection)
        if not found.connections:
            self._left(one, device, found, now, clean=clean)
        return self._settle(user, one, now)

    def status(
        self, user: UserId, device: DeviceId, said: Status, now: float, *, will: bool
    ) -> Change | None:
        """What a device publishes of itself, or (`will`) what was left to be published at the end of a connection.

        What is older than the newest is passed over. A will says that a connection has ended, which is known already
        where connections are: while another one stands, or while the device may still come back, it changes nothing.
        """
        if (will or said.state in {None, "offline"}) and not self.knows(user, device):
            return None
        one, found = self._known(user, device, now)
        if said.n is not None:
            if found.n is not None and said.n < found.n:
                return None
            found.n = said.n
        if will:
            if said.state == "offline" and not found.is_here:
                self._left(one, device, found, now, clean=False)
        else:
            found.status = said.state
            found.leaves_at = None
            if found.is_over:
                del one.devices[device]
        return self._settle(user, one, now)

    # -- time

    def next_due(self) -> float | None:
        """When to call `due`, at the latest; None: not before something happens."""
        return self._wakes[0][0] if self._wakes else None

    def due(self, now: float) -> list[Change]:
        """What has changed because time went by."""
        changes = []
        while self._wakes and self._wakes[0][0] <= now:
            at, user = heapq.heappop(self._wakes)
            one = self._users.get(user)
            if one is None or one.wakes_at != at:
                continue
            one.wakes_at = None
            if (change := self._settle(user, one, now)) is not None:
                changes.append(change)
        return changes

    # -- the inside

    def _known(self, user: UserId, device: DeviceId, now: float) -> tuple[_User, _Device]:
        one = self._users.get(user)
        if one is None:
            one = self._users[user] = _User(now)
        found = one.devices.get(device)
        if found is None:
            found = one.devices[device] = _Device()
        return one, found

    def _left(self, one: _User, device: DeviceId, found: _Device, now: float, *, clean: bool) -> None:
        if clean or found.status == "offline":
            del one.devices[device]
        else:
            found.leaves_at = now + self.linger_s

    def _settle(self, user: UserId, one: _User, now: float) -> Change | None:
        """Forget what is over, tell if anything is to be told, and see to it that the rest is looked at in time."""
        gone = [
            device
            for device, found in one.devices.items()
            if found.leaves_at is not None and found.leaves_at <= now
        ]
        for device in gone:
            del one.devices[device]
        change = None
        state = one.state()
        if state != one.shown and now >= one.may_tell_at:
            one.free_at = max(one.free_at, now) + EVERY_S
            self.online += (state != "offline") - (one.shown != "offline")
            one.shown = state
            change = Change(user, state)
        self._look_again(user, one, now, behind=state != one.shown)
        return change

    def _look_again(self, user: UserId, one: _User, now: float, *, behind: bool) -> None:
        times = [found.leaves_at for found in one.devices.values() if found.leaves_at is not None]
        if behind:
            times.append(one.may_tell_at)
        if times:
            self._wake(user, one, min(times))
        elif not one.devices:
            # Not forgotten before that is the same as being new, so that who comes and goes is still held back.
            if now >= one.free_at:
                del self._users[user]
            else:
                self._wake(user, one, one.free_at)

    def _wake(self, user: UserId, one: _User, at: float) -> None:
        if one.wakes_at is None or at < one.wakes_at:
            one.wakes_at = at
            heapq.heappush(self._wakes, (at, user))
