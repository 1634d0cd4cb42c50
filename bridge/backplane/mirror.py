"""Who is online, for other processes: a copy of what the relay tells, made again whenever it is not whole.

The relay's roster is the truth. The copy is one hash, user -> state, of those who are not offline; the field "" says
which generation of the relay has written all of it, so that a part of it is never taken for the whole. It goes by
itself when the relay has not said for a while that it stands.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from bridge.backplane import names
from bridge.backplane.link import Asking, Away, Word
from pabal.ids import UserId
from pabal.presence import State

TTL_S: Final = 10.0
EVERY_S: Final = 2.0
_STEP: Final = 1_000
_STATES: Final[Mapping[bytes, State]] = {b"online": "online", b"away": "away"}


class Mirror(Protocol):
    """Called by who owns the roster, in the event loop. Returns at once and never raises."""

    def changed(self, user: UserId, state: State) -> None:
        """Others are told so of this user from now on."""
        ...


class NullMirror:
    """Nobody looks into it."""

    def changed(self, user: UserId, state: State) -> None:
        pass


NULL_MIRROR: Final = NullMirror()


class States(Protocol):
    def __call__(self, users: Collection[UserId]) -> Mapping[UserId, State] | None:
        """What others are told of each of them; None where it is not known here."""
        ...


class LocalMirror:
    """Of one process, and the model for the other one."""

    def __init__(self) -> None:
        self._states: dict[UserId, State] = {}

    def changed(self, user: UserId, state: State) -> None:
        self._states[user] = state

    def __call__(self, users: Collection[UserId]) -> Mapping[UserId, State] | None:
        return {user: self._states.get(user, "offline") for user in users}


# Nothing is written into a copy of another generation, and a newer one is left alone: its relay is the one that tells.
# KEYS[1]; ARGV: generation, milliseconds to live, then users and states by turns. Returns 1; 0: write all of it; -1: we
# are not asked any more.
_CHANGE: Final = """
local whose = redis.call('HGET', KEYS[1], '')
if whose ~= ARGV[1] then
  if whose and tonumber(whose) > tonumber(ARGV[1]) then return -1 end
  return 0
end
for at = 3, #ARGV, 2 do
  if ARGV[at + 1] == 'offline' then
    redis.call('HDEL', KEYS[1], ARGV[at])
  else
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
# All of it in steps, of which only the last one makes it good. ARGV: generation, milliseconds, 1 for the first step, 1
# for the last one, then as above.
_WRITE: Final = """
local whose = redis.call('HGET', KEYS[1], '')
if whose and tonumber(whose) > tonumber(ARGV[1]) then return -1 end
if ARGV[3] == '1' then redis.call('DEL', KEYS[1]) elseif redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], '-', '')
for at = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], '', ARGV[1]) redis.call('HDEL', KEYS[1], '-') end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


class SharedMirror:
    """`Mirror` over Redis, and an errand of the courier."""

    def __init__(
        self,
        link: Asking,
        rung: Callable[[], None],
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rung` is called when there is something for `run` to do."""
        self._link = link
        self._rung = rung
        self._ttl_ms = round(ttl_s * 1000)
        self._clock = clock
        self._guard = threading.Lock()
        self._generation: int | None = None
        self._states: dict[UserId, State] = {}
        self._changes: dict[UserId, State] = {}
        self._is_whole = False
        self._due = float("-inf")

    def begin(self, generation: int) -> None:
        """Nothing is written before. A relay of a higher generation goes before one of a lower."""
        self._generation = generation
        self._rung()

    def changed(self, user: UserId, state: State) -> None:
        with self._guard:
            self._changes[user] = state
            if state == "offline":
                self._states.pop(user, None)
            else:
                self._states[user] = state
        self._rung()

    def run(self) -> None:
        """Raises: Away; then all of it is written at a later time."""
        now = self._clock()
        if self._generation is None or (now < self._due and not (self._is_whole and self._changes)):
            return
        self._due = now + EVERY_S
        if self._is_whole:
            self._is_whole = False
            with self._guard:
                changes, self._changes = self._changes, {}
            self._is_whole = self._write_changes(changes)
        if not self._is_whole:
            self._is_whole = self._write_all()

    def _write_changes(self, changes: Mapping[UserId, State]) -> bool:
        done = self._link.ask(
            "EVAL", _CHANGE, 1, names.PRESENCE, self._generation or 0, self._ttl_ms, *_flat(changes)
        )
        return done == 1

    def _write_all(self) -> bool:
        with self._guard:
            # What has changed until here is in it.
            self._changes = {}
            everybody = list(self._states.items())
        for at in range(0, max(1, len(everybody)), _STEP):
            step = dict(everybody[at : at + _STEP])
            is_first, is_last = int(at == 0), int(at + _STEP >= len(everybody))
            words = (self._generation or 0, self._ttl_ms, is_first, is_last, *_flat(step))
            if self._link.ask("EVAL", _WRITE, 1, names.PRESENCE, *words) != 1:
                return False
        return True


class SharedStates:
    """`States` over Redis."""

    def __init__(self, link: Asking) -> None:
        self._link = link

    def __call__(self, users: Collection[UserId]) -> Mapping[UserId, State] | None:
        asked = list(users)
        try:
            found = self._link.ask("HMGET", names.PRESENCE, "", *asked)
        except Away:
            return None
        if not isinstance(found, list) or not found or found[0] is None:
            return None
        return {user: _STATES.get(said, "offline") for user, said in zip(asked, found[1:], strict=True)}


def _flat(states: Mapping[UserId, State]) -> list[Word]:
    return [word for pair in states.items() for word in pair]
