"""Names and numbers of the protocol, parsed once at the edge.

A user's id is its name; a device is a client of a user; a conversation id says its kind.
Inside the house these types are trusted: only the `parse_*` functions make them from strangers' text.
"""

import re
from dataclasses import dataclass
from typing import NewType

from pabal.errors import BadRequest

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
ConvId = NewType("ConvId", str)
MessageId = NewType("MessageId", int)
Seq = NewType("Seq", int)
RequestId = NewType("RequestId", str)

USER_PATTERN = r"^[a-z0-9][a-z0-9_-]{1,31}$"
DEVICE_PATTERN = r"^[A-Za-z0-9_-]{1,32}$"
GROUP_PATTERN = r"^g[a-z2-7]{12}$"
SUFFIX_PATTERN = r"^[A-Za-z0-9_-]{1,32}$"
REQUEST_ID_MAX = 64

_user = re.compile(USER_PATTERN[1:-1])
_device = re.compile(DEVICE_PATTERN[1:-1])
_group = re.compile(GROUP_PATTERN[1:-1])
_suffix = re.compile(SUFFIX_PATTERN[1:-1])

_RESERVED_WORDS = (
    "admin administrator all anonymous everyone here me moderator null pabal postmaster root support svc "
    "system undefined"
)
RESERVED = frozenset(_RESERVED_WORDS.split())

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def parse_user(text: object, *, field: str = "user") -> UserId:
    """Raises: BadRequest if this is no user name."""
    if isinstance(text, str) and _user.fullmatch(text):
        return UserId(text)
    raise BadRequest("2 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or digit", field=field)


def parse_new_user(text: object, *, field: str = "user") -> UserId:
    """A name that somebody asks to have.

    Raises: BadRequest if this is no user name, or one that is kept back.
    """
    user = parse_user(text, field=field)
    if user in RESERVED:
        raise BadRequest(f"the name {user!r} is reserved", field=field)
    return user


def parse_device(text: object, *, field: str = "device") -> DeviceId:
    """Raises: BadRequest if this is no device name."""
    if isinstance(text, str) and _device.fullmatch(text):
        return DeviceId(text)
    raise BadRequest("1 to 32 of A-Z, a-z, 0-9, '_' and '-'", field=field)


def direct(one: UserId, other: UserId) -> ConvId:
    """The conversation of two users, whoever asks; of one user with itself: saved messages."""
    return ConvId(f"{one}~{other}" if one <= other else f"{other}~{one}")


def group(random: bytes) -> ConvId:
    """A group's id from 8 random bytes (60 of the bits are used)."""
    bits = int.from_bytes(random[:8], "big")
    return ConvId("g" + "".join(_BASE32[bits >> 5 * place & 31] for place in range(12)))


def is_direct(conv: ConvId) -> bool:
    return "~" in conv


def members_of(conv: ConvId) -> tuple[UserId, ...]:
    """The one or two users of a direct conversation, sorted; empty for a group."""
    one, tilde, other = conv.partition("~")
    if not tilde:
        return ()
    return (UserId(one),) if one == other else (UserId(one), UserId(other))


def parse_conv(text: object, *, field: str = "conv") -> ConvId:
    """Raises: BadRequest if this is neither a sorted pair of users nor a group's id."""
    if isinstance(text, str):
        if _group.fullmatch(text):
            return ConvId(text)
        one, tilde, other = text.partition("~")
        if tilde and one <= other and _user.fullmatch(one) and _user.fullmatch(other):
            return ConvId(text)
    raise BadRequest("a direct conversation (two users, sorted, joined by '~') or a group id", field=field)


@dataclass(frozen=True, slots=True)
class ClientId:
    """`{user}:{device}`, or `{user}:{device}:{suffix}` for a second connection with the same rights."""

    user: UserId
    device: DeviceId
    suffix: str | None = None

    def __str__(self) -> str:
        base = f"{self.user}:{self.device}"
        return base if self.suffix is None else f"{base}:{self.suffix}"


def parse_client_id(text: object) -> ClientId:
    """Raises: BadRequest if this is no client id of a user's device."""
    if isinstance(text, str):
        parts = text.split(":")
        if len(parts) in {2, 3}:
            user = parse_user(parts[0], field="client_id")
            device = parse_device(parts[1], field="client_id")
            if len(parts) == 2:  # noqa: PLR2004 -- user and device
                return ClientId(user, device)
            if _suffix.fullmatch(parts[2]):
                return ClientId(user, device, parts[2])
    raise BadRequest("'user:device' or 'user:device:suffix'", field="client_id")
