"""What a worker works with: lanes, the jobs in them, what has to be known of these, and what becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, NamedTuple

from bridge.push.ports import Notification, Subscription
from pabal.ids import ConvId, DeviceId, UserId, members_of
from pabal.push import Lang, Preview, QuietHours

JobKind = Literal["message", "clear"]
Ended = Literal["gone", "again"]
# The type of the update, and the kind of what is `Said`, where somebody asks to be a contact.
ASKS = "contact"


class Lane(NamedTuple):
    """The jobs of one device. One worker has a lane at a time, and sends one job of it at a time."""

    user: UserId
    device: DeviceId


class Waiting(NamedTuple):
    """A lane in which something is due. `host` is empty where all devices of the service have the same."""

    lane: Lane
    service: str
    host: str


class JobKey(NamedTuple):
    """`seq` is that of the inbox update that the job was made with."""

    user: UserId
    device: DeviceId
    seq: int
    kind: JobKind

    @property
    def lane(self) -> Lane:
        return Lane(self.user, self.device)


@dataclass(frozen=True, slots=True)
class Job:
    """Times are milliseconds since 1970. For a `clear`, `message_id` says up to where it takes away what is shown; of
    requests to be contacts the key's seq does.
    """

    key: JobKey
    type: str
    conv: ConvId | None
    message_id: int | None
    created_ts: int
    due_ts: int
    expires_ts: int
    tries: int = 0
    answer: str | None = None

    @property
    def asks(self) -> bool:
        """It is about somebody's asking to be a contact; `conv` is that of the two, and there is no message."""
        return self.type == ASKS

    @property
    def push_id(self) -> str:
        """32 hex digits, the same in every try."""
        named = "\0".join((*map(str, self.key), str(self.created_ts)))
        return blake2b(named.encode(), digest_size=16, person=b"pabal push").hexdigest()


def other_of(conv: ConvId, user: UserId) -> UserId:
    """Who else is in the conversation of two."""
    return next(one for one in members_of(conv) if one != user)


@dataclass(frozen=True, slots=True)
class Taken:
    """A lane that this worker has until its lease ends, and what is due in it by seq.

    `host` as in `Waiting`. `subscribed_ts` tells this subscription from an earlier or later one of the device;
    `failures` are tries that failed in a row.
    """

    subscription: Subscription
    preview: Preview
    lang: Lang
    quiet: QuietHours | None
    subscribed_ts: int
    failures: int
    jobs: Sequence[Job]
    host: str = ""

    @property
    def lane(self) -> Lane:
        return Lane(self.subscription.user, self.subscription.device)


@dataclass(frozen=True, slots=True)
class Place:
    """One member's side of a conversation. `shown`: the newest message that may be seen on the device now,
    and `asked` the seq of the newest request to be a contact.
    """

    is_member: bool
    read_upto: int
    muted_until: int | None = None
    name: str | None = None
    quiet: QuietHours | None = None
    shown: int | None = None
    asked: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the recipient may see it now. `is_gone`: recalled, or its time is over. `is_apart`: one of the two
    has blocked the other. `sender_name` as the recipient may know it.
    """

    sender: UserId
    sender_name: str
    kind: str
    text: str | None
    mentions: Sequence[str] = ()
    expires_ts: int | None = None
    is_gone: bool = False
    is_hidden: bool = False
    is_apart: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says around the jobs of one lane, at one moment.

    Attributes:
        active: the account is, and the device is there.
        acked: the highest seq that any device of the user has acknowledged.
        badge: what is unread in all conversations that are not muted.
        quiet: the user's own hours.
    """

    active: bool
    acked: int
    badge: int = 0
    quiet: QuietHours | None = None
    places: Mapping[ConvId, Place] = field(default_factory=dict)
    messages: Mapping[tuple[ConvId, int], Said] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """A job that is to be sent now."""

    taken: Taken
    job: Job
    notification: Notification


@dataclass(frozen=True, slots=True)
class Drop:
    """A job that nobody needs any more, with the word for why; `is_dead`: it was tried, and is given up."""

    key: JobKey
    reason: str
    is_dead: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a try. `not_before` and `failures` are the lane's from now on; `ended` its subscription's end.

    `tries` is the number of this try, by which it is told from one that another worker made meanwhile. Without
    `settles` it is in the lane as it was before.
    """

    key: JobKey
    subscribed_ts: int
    tries: int
    state: Literal["sent", "dead", "queued"]
    answer: str
    not_before: int = 0
    failures: int = 0
    ended: Ended | None = None
    settles: bool = True
