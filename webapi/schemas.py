"""Bodies and queries of the REST calls that are not in `pabal.messages`. Times are milliseconds since 1970."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from pabal import messages as m
from pabal.ids import DEVICE_PATTERN, GROUP_PATTERN, USER_PATTERN
from pabal.privacy import Privacy, PrivacyPatch

_NAME = USER_PATTERN[1:-1]
CONV_PATTERN = f"^({_NAME}~{_NAME}|{GROUP_PATTERN[1:-1]})$"
CONV_OR_USER_PATTERN = f"^({_NAME}~{_NAME}|{GROUP_PATTERN[1:-1]}|@{_NAME})$"

# `extra_json_schema` only documents: the rule itself, with its sentence for people, is in one place below.
UserText = Annotated[str, Meta(extra_json_schema={"pattern": USER_PATTERN})]
DeviceText = Annotated[str, Meta(extra_json_schema={"pattern": DEVICE_PATTERN})]
ConvText = Annotated[str, Meta(extra_json_schema={"pattern": CONV_PATTERN})]
NewPassword = Annotated[str, Meta(extra_json_schema={"minLength": 8, "maxLength": 256})]
DisplayName = Annotated[str | None, Meta(extra_json_schema={"maxLength": 64})]
About = Annotated[str | None, Meta(extra_json_schema={"maxLength": 500})]
Right = Literal["send", "receive"]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal (RFC 9457). `code` is one of section 8 of the protocol."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after: int | None = None


class RequestProblem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal, with the fields of an MQTT reply beside it once the request itself was looked at."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after: int | None = None
    error: str | UnsetType = UNSET
    re: str | UnsetType | None = UNSET
    ok: bool | UnsetType = UNSET


class SignUp(Struct, frozen=True, kw_only=True):
    user: UserText
    password: NewPassword
    display_name: DisplayName = None


class LogIn(Struct, frozen=True, kw_only=True):
    user: str
    password: str
    device: DeviceText


class Refresh(Struct, frozen=True, kw_only=True):
    refresh_token: str


class AddDevice(Struct, frozen=True, kw_only=True):
    device: DeviceText
    password: str
    allow: Annotated[list[Right], Meta(min_length=1, max_length=2)] | None = None


class PatchMe(Struct, frozen=True, kw_only=True):
    """What is left out stays; null removes. A new password needs the current one."""

    display_name: DisplayName | UnsetType = UNSET
    about: About | UnsetType = UNSET
    privacy: PrivacyPatch | UnsetType | None = UNSET
    password: NewPassword | UnsetType = UNSET
    current_password: str | UnsetType = UNSET


class PutPassword(Struct, frozen=True, kw_only=True):
    old: str
    new: NewPassword


class DeleteMe(Struct, frozen=True, kw_only=True):
    """`password` may be left out shortly after the login."""

    password: str | UnsetType = UNSET


class SecurityQuery(Struct, frozen=True, kw_only=True):
    """The newest below `before`, an `id` of an event."""

    before: m.PositiveNumber | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class SecurityEvent(Struct, frozen=True, kw_only=True):
    """`detail` depends on the event; several failed logins of one while are one event, with their `count`."""

    id: int
    event: str
    device: str | None
    address: str | None
    ts: int
    detail: dict[str, Any]


class SecurityBody(Struct, frozen=True, kw_only=True):
    events: list[SecurityEvent]
    more: bool


class SendBody(Struct, frozen=True, kw_only=True):
    """The `send` request without `to` and `conv`, which the path says. `text` or `body` or both."""

    id: m.RequestIdText | None = None
    text: str | None = None
    body: dict[str, Any] | None = None
    kind: m.KindText = "text"
    reply_to: m.PositiveNumber | None = None
    mentions: Annotated[list[str], Meta(max_length=m.MAX_MENTIONS)] = []
    forward_of: m.ForwardOf | None = None
    expires_in: Annotated[int, Meta(ge=1, le=m.MAX_LIFETIME_S)] | None = None


class EditBody(Struct, frozen=True, kw_only=True):
    """`text` or `body` or both."""

    id: m.RequestIdText | None = None
    text: str | None = None
    body: dict[str, Any] | None = None


class DeleteQuery(Struct, frozen=True, kw_only=True):
    for_: Literal["everyone", "me"] = field(name="for", default="everyone")
    id: m.RequestIdText | None = None


class ReactionQuery(Struct, frozen=True, kw_only=True):
    id: m.RequestIdText | None = None


class ReadBody(Struct, frozen=True, kw_only=True):
    message_id: m.PositiveNumber


class TypingBody(Struct, frozen=True, kw_only=True):
    """`on` is over after 6 seconds without another one."""

    on: bool


class RequestBody(Struct, frozen=True, kw_only=True):
    """Any request of section 4 of the protocol: these two, and the fields of the operation beside them."""

    op: Annotated[str, Meta(extra_json_schema={"enum": sorted(m.OPS)})] = "send"
    id: m.RequestIdText | None = None


class ConversationsQuery(Struct, frozen=True, kw_only=True):
    after: ConvText | None = None
    limit: Annotated[int, Meta(ge=1, le=m.MAX_HISTORY_LIMIT)] = 100


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """The newest below `before`, or the oldest above `after`."""

    before: m.PositiveNumber | None = None
    after: m.Number | None = None
    limit: Annotated[int, Meta(ge=1, le=m.MAX_HISTORY_LIMIT)] = 50


class SyncQuery(Struct, frozen=True, kw_only=True):
    """`wait`: seconds to hold the answer back until there is something."""

    after: m.Number
    epoch: str | None = None
    limit: Annotated[int, Meta(ge=1, le=m.MAX_SYNC_LIMIT)] = m.MAX_SYNC_LIMIT
    wait: Annotated[int, Meta(ge=0, le=60)] = 0


class PresenceQuery(Struct, frozen=True, kw_only=True):
    """`users`: names with commas between them, at most 200; for more than fit into a request line there is
    `POST /v1/requests`.
    """

    users: Annotated[str, Meta(extra_json_schema={"pattern": f"^{_NAME}(,{_NAME})*$"})]


class PresenceBody(Struct, frozen=True, kw_only=True):
    presence: list[m.UserPresence]


class UserBody(Struct, frozen=True, kw_only=True):
    user: str


class ProfileBody(Struct, frozen=True, kw_only=True):
    user: str
    display_name: str | None
    about: str | None
    admin: bool
    created_ts: int
    privacy: Privacy


class Topics(Struct, frozen=True, kw_only=True):
    up: str
    down: str
    inbox: str
    live: str
    status: str


class Mqtt(Struct, frozen=True, kw_only=True):
    """How this device connects; the password is its access token or its secret."""

    tcp: str | None
    ws: str | None
    client_id: str
    username: str
    topics: Topics


class SessionBody(Struct, frozen=True, kw_only=True):
    """`expires_in`: seconds until the access token has to be refreshed."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: str
    device: str
    mqtt: Mqtt


class DeviceBody(Struct, frozen=True, kw_only=True):
    """`seen_ts`: when it was connected last, to the minute, or logged in or renewed its tokens; null: never."""

    device: str
    allow: list[str]
    has_secret: bool
    logged_in: bool
    current: bool
    created_ts: int
    seen_ts: int | None


class DevicesBody(Struct, frozen=True, kw_only=True):
    devices: list[DeviceBody]


class NewDeviceBody(Struct, frozen=True, kw_only=True):
    """`secret` is shown this once."""

    user: str
    device: str
    allow: list[str]
    secret: str
    mqtt: Mqtt


class CommittedBody(Struct, frozen=True, kw_only=True):
    """`dup`: this device's request of that id was committed before."""

    conv: str
    message_id: int
    ts: int
    dup: bool


class ConversationsBody(Struct, frozen=True, kw_only=True):
    conversations: list[m.ConversationSummary]
    more: bool


class HistoryBody(Struct, frozen=True, kw_only=True):
    conv: str
    head: int
    items: list[m.Message]
    more: bool
    receipts: list[m.Receipt]


class SyncBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page (`items`, `rooms`), or with `reset` a snapshot (`conversations`) to start over from."""

    epoch: str
    head: int
    more: bool
    items: list[dict[str, Any]] = []
    rooms: dict[str, int] = {}
    reset: bool = False
    conversations: list[m.ConversationSummary] = []


class ReplyBody(Struct, frozen=True, kw_only=True):
    """The reply as on MQTT: these two, and the fields of the operation beside them."""

    re: str | None
    ok: Literal[True]


class BrokerBody(Struct, frozen=True, kw_only=True):
    tcp: str | None
    ws: str | None


class BrokersBody(Struct, frozen=True, kw_only=True):
    brokers: list[BrokerBody]


class PushOfferBody(Struct, frozen=True, kw_only=True):
    """`vapid_key` is the `applicationServerKey` of browsers; null where this server is not asked for by any."""

    services: list[str]
    vapid_key: str | None


class HealthBody(Struct, frozen=True, kw_only=True):
    ok: Literal[True] = True


class ReadyBody(Struct, frozen=True, kw_only=True):
    ready: Literal[True] = True
