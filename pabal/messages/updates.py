"""Updates on `inbox/…`, and what is live on `live/…`."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field

from pabal.messages.limits import ContactAction, HistoryMode, PostingMode, Role
from pabal.messages.replies import Forwarded


class MessageUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="message", omit_defaults=True):
    """A new message. `id` and `device` are told to the sender's own devices only.

    Who catches up later gets the newest content, or none of what was `recalled` (or `expired`) meanwhile, or what
    the user has `deleted` from the own view.
    """

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    kind: str
    text: str | None = None
    body: Raw | UnsetType = UNSET
    reply_to: int | None = None
    mentions: list[str] = []
    recalled: bool = False
    forward_of: Forwarded | None = None
    expires: int | None = None
    expired: bool = False
    deleted: bool = False
    id: str | None = None
    device: str | None = None


class EditedUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="edited", omit_defaults=True):
    """`target` has this content now, in the place of the one it had. `truncated`: history has the content."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    text: str | None = None
    body: Raw | UnsetType = UNSET
    truncated: bool = False
    id: str | None = None
    device: str | None = None


class RecalledUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="recalled", omit_defaults=True):
    """The content of `target` is gone; `from` is who took it back. `expired`: its time was over; `from` is who
    wrote it.
    """

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    expired: bool = False
    id: str | None = None
    device: str | None = None


class ReactionUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="reaction", omit_defaults=True):
    """Somebody put an emoji under `target`, or took it back."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    target: int
    emoji: str
    removed: bool = False
    id: str | None = None
    device: str | None = None


class ReadUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="read"):
    """The user has read up to here, on whichever device."""

    ts: int
    conv: str
    message_id: int


class DeletedUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="deleted"):
    """The user has hidden this message from the own view, on whichever device."""

    ts: int
    conv: str
    target: int


class Kicked(Struct, frozen=True, kw_only=True, tag_field="type", tag="kicked"):
    """The server is about to close this device's connection; the device does not come back by itself."""

    reason: str


class Reset(Struct, frozen=True, kw_only=True, tag_field="type", tag="reset"):
    """This session missed more than is kept; it goes on from the head of the inbox."""


class MentionUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="mention", omit_defaults=True):
    """A message of a large group that names this user; the only copy that an inbox gets of such a group."""

    ts: int
    conv: str
    message_id: int
    from_: str = field(name="from")
    kind: str
    text: str | None = None
    body: Raw | UnsetType = UNSET
    reply_to: int | None = None
    mentions: list[str] = []
    recalled: bool = False
    forward_of: Forwarded | None = None
    expires: int | None = None
    expired: bool = False
    deleted: bool = False


class MemberUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="member", omit_defaults=True):
    """Somebody joined, left, was removed, has another `role`, or may not write (until then, if that ends by
    itself) or may again; by whom. `name` and `mode` are told to who joins.
    """

    ts: int
    conv: str
    message_id: int
    action: Literal["joined", "left", "removed", "role", "muted", "unmuted"]
    user: str
    by: str
    name: str | None = None
    mode: Literal["small", "large"] | None = None
    role: Role | None = None
    until: int | None = None
    id: str | None = None
    device: str | None = None


class ConversationUpdate(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation", omit_defaults=True
):
    """A group was created, became large (from this message_id on its entries come by `room/{conv}`), has another
    name or other settings, of which those that changed are told, or is dissolved.
    """

    ts: int
    conv: str
    message_id: int
    action: Literal["created", "mode", "renamed", "settings", "dissolved"]
    by: str
    name: str | None = None
    mode: Literal["small", "large"]
    members: list[str] = []
    history: HistoryMode | None = None
    posting: PostingMode | None = None
    id: str | None = None
    device: str | None = None


class ContactUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="contact", omit_defaults=True):
    """A request was made, got, accepted or ended; or, on one's own devices alone, `user` was blocked or is no more."""

    ts: int
    action: ContactAction
    user: str
    text: str | None = None


class MuteUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="conversation", omit_defaults=True):
    """No entry: a device of one's own turned the notifications of a conversation off, until then, or on again."""

    ts: int
    conv: str
    action: Literal["muted", "unmuted"]
    until: int | None = None


class SystemUpdate(Struct, frozen=True, kw_only=True, tag_field="type", tag="system"):
    """The server's own word. The push subscription of `device` is no more (`push_gone`: the service does not know it any
    longer; `push_again`: it does not take this server's credential for it), and its app is to subscribe anew.
    """

    ts: int
    event: Literal["push_gone", "push_again"]
    device: str
    service: str
    reason: str


EntryUpdate = (
    MessageUpdate | EditedUpdate | RecalledUpdate | ReactionUpdate | MemberUpdate | ConversationUpdate
)
Update = EntryUpdate | MentionUpdate | ReadUpdate | ContactUpdate | MuteUpdate | DeletedUpdate | SystemUpdate


class LiveReceipt(Struct, frozen=True, kw_only=True, tag_field="type", tag="receipt", omit_defaults=True):
    """How far another member has come by now, on `live/{user}`; `read` as in `Receipt`."""

    ts: int
    conv: str
    user: str
    delivered: int
    read: int | UnsetType = UNSET


class LiveTyping(Struct, frozen=True, kw_only=True, tag_field="type", tag="typing"):
    """Another member begins or ends to write, on `live/{user}`. `on` is over after 6 seconds without another one."""

    ts: int
    conv: str
    user: str
    on: bool
