"""What may be lost: who is typing, how far others have come, and who is there."""

from typing import Final

import msgspec
from msgspec import Struct

TYPING_SECONDS: Final = 6.0
"""Who types is said to, for so long after the last sign of it."""
SAY_AGAIN_SECONDS: Final = 3.0
"""Well within the life of one sign, so that one may be lost."""
_MOST = 1_000


class Typing(Struct, frozen=True, kw_only=True):
    """Somebody began to type in a conversation, or stopped."""

    conv: str
    user: str
    on: bool
    ts: int = 0


class Receipt(Struct, frozen=True, kw_only=True):
    """How far one member has come: everything up to `delivered` is on a device of theirs, everything up to `read`
    was read. `read` is None where they do not tell.
    """

    user: str
    conv: str = ""
    delivered: int = 0
    read: int | None = None
    ts: int = 0


class Presence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether somebody is there: `online`, `away` or `offline`. `last_seen`: milliseconds since 1970 UTC, where
    asked for and told.
    """

    user: str
    state: str = "offline"
    last_seen: int | None = None


LiveValue = Typing | Receipt | Presence
_KINDS: dict[str, type[Typing | Receipt]] = {"typing": Typing, "receipt": Receipt}


class _Kind(Struct, frozen=True):
    type: str = ""


def read_live(payload: bytes) -> Typing | Receipt | None:
    """A publish on `live`; None for what this library does not know, or cannot read."""
    try:
        kind = _KINDS.get(msgspec.json.decode(payload, type=_Kind).type)
        return None if kind is None else msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError:
        return None


class Typists:
    """Who types where. A sign holds for six seconds; only what changes is told.

    >>> typists = Typists()
    >>> bob = Typing(conv="alice~bob", user="bob", on=True)
    >>> typists.heard(bob, now=0.0) == [bob], typists.heard(bob, now=4.0)
    (True, [])
    >>> typists.tick(now=9.0), typists.deadline()
    ([], 10.0)
    >>> [(one.user, one.on) for one in typists.tick(now=10.0)]
    [('bob', False)]
    """

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._said: dict[str, tuple[bool, float]] = {}

    def heard(self, typing: Typing, now: float) -> list[Typing]:
        key = (typing.conv, typing.user)
        known = key in self._until
        if typing.on:
            if not known and len(self._until) >= _MOST:
                return []
            self._until[key] = now + TYPING_SECONDS
        else:
            self._until.pop(key, None)
        return [typing] if typing.on != known else []

    def tick(self, now: float) -> list[Typing]:
        """Those of whom nothing was heard for too long have stopped."""
        over = [key for key, until in self._until.items() if until <= now]
        return [self._stopped(key) for key in over]

    def clear(self) -> list[Typing]:
        """The connection is gone, and with it all word of them."""
        self._said.clear()
        return [self._stopped(key) for key in list(self._until)]

    def _stopped(self, key: tuple[str, str]) -> Typing:
        del self._until[key]
        return Typing(conv=key[0], user=key[1], on=False)

    def deadline(self) -> float | None:
        return min(self._until.values(), default=None)

    def worth_saying(self, conv: str, on: bool, now: float) -> bool:
        """Whether the server should be told that oneself types, or has stopped; not with each key."""
        said, when = self._said.get(conv, (False, 0.0))
        if on == said and (not on or now < when + SAY_AGAIN_SECONDS):
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[conv] = (on, now)
        return True
