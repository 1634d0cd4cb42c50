"""Who may publish and subscribe to what (section 2 of the protocol).

A wildcard can always match a topic that belongs to somebody else or to nobody, now or later, and a filter is
allowed only if everything that it can match is. So for devices a filter with a wildcard is always refused,
and what is left is one topic, decided by whose it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pabal import messages as m
from pabal import topics
from pabal.errors import Forbidden
from pabal.ids import ConvId, DeviceId, UserId, is_direct

SEND = "send"
RECEIVE = "receive"
EVERYTHING: frozenset[str] = frozenset({SEND, RECEIVE})


@dataclass(frozen=True, slots=True)
class Device:
    """Somebody logged in. `allow` narrows what a device with a secret may do; `admin`: of the whole server."""

    user: UserId
    device: DeviceId
    allow: frozenset[str] = EVERYTHING
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A part of the server itself, such as a webapi process, with a credential that no user can have."""

    instance: str


Principal = Device | Service


@dataclass(frozen=True, slots=True)
class Relations:
    """What only the database knows; asked at most once a decision."""

    sees_presence: Callable[[UserId, UserId], bool]
    in_room: Callable[[UserId, ConvId], bool]


def nobody(_viewer: UserId, _of: str) -> bool:
    return False


STRANGERS = Relations(sees_presence=nobody, in_room=nobody)


def may_publish(who: Principal, topic: str) -> bool:
    """Whether `who` may publish (or leave a last will) to this topic name."""
    match who, topics.parse(topic):
        case Device(user, device, allow), topics.Up(of_user, of_device):
            return (user, device) == (of_user, of_device) and bool(allow)
        case Device(user, device), topics.Status(of_user, of_device):
            return (user, device) == (of_user, of_device)
        case Service(instance), topics.ServiceUp(of_instance):
            return instance == of_instance
        case _:
            return False


def may_subscribe(  # noqa: PLR0911 -- one line for each kind of topic is the table of section 2
    who: Principal, topic_filter: str, relations: Relations = STRANGERS
) -> bool:
    """Whether everything that this filter can match may be read by `who`."""
    if topics.is_system(topic_filter):
        return isinstance(who, Device) and who.admin and RECEIVE in who.allow
    if topics.has_wildcard(topic_filter):
        return False
    match who, topics.parse(topic_filter):
        case Device(user, device), topics.Down(of_user, of_device):
            return (user, device) == (of_user, of_device)
        case Device(user, _, allow), topics.Inbox(of_user) | topics.Live(of_user):
            return user == of_user and RECEIVE in allow
        case Device(user, _, allow), topics.Presence(of_user):
            return RECEIVE in allow and relations.sees_presence(user, of_user)
        case Device(user, _, allow), topics.Room(conv):
            return RECEIVE in allow and not is_direct(conv) and relations.in_room(user, conv)
        case Service(instance), topics.ServiceDown(of_instance):
            return instance == of_instance
        case _:
            return False


_READING = (
    m.Sync, m.History, m.Conversations, m.Read, m.Ack, m.Delete,
    m.Contacts, m.Blocks, m.Users, m.UserGet, m.Presence,
    m.Mute, m.GroupGet, m.GroupInvites,
    m.PushSet, m.PushRemove, m.PushGet, m.QuietSet, m.QuietRemove, m.QuietGet,
)  # fmt: skip
# They change who reaches whom, or show what only moderators see: nothing for a thing that was made to do one of both.
_BOTH = (m.ContactRequest, m.ContactAccept, m.ContactRemove, m.BlockAdd, m.BlockRemove, m.Reports)


def check_right(allow: frozenset[str], request: m.AnyRequest) -> None:
    """A device with a secret does only what it was made for: a sensor sends, a display receives.

    Raises: Forbidden.
    """
    if isinstance(request, _BOTH):
        needed: tuple[str, ...] = (SEND, RECEIVE)
    else:
        needed = (RECEIVE,) if isinstance(request, _READING) else (SEND,)
    for right in needed:
        if right not in allow:
            raise Forbidden(f"this device has no right to {right}")
