"""What happens beside new messages, as values: edits, recalls, reactions, members, groups, contacts, reading.

Fields that this library does not know are ignored, and words that it does not know (an `action` of tomorrow) are
let through: a server may be newer than its clients. `seq` is the number in this user's inbox, None for what a
large group's room brought; `ts` is milliseconds since 1970 UTC, for people and never for order.
"""

from typing import Any

from msgspec import Struct, field

__all__ = [
    "ContactChange",
    "Deleted",
    "Edited",
    "GroupChange",
    "MemberChange",
    "Mention",
    "Reaction",
    "ReadUpTo",
    "Recalled",
    "Source",
    "SystemNotice",
]


class Source(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a forwarded message comes from, and who wrote it there."""

    conv: str
    message_id: int
    from_: str = field(name="from", default="")


class Mention(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message of a large group that names this user. Who follows the group gets the message by its room too."""

    conv: str
    message_id: int
    from_: str = field(name="from", default="")
    kind: str = "text"
    ts: int = 0
    text: str | None = None
    body: dict[str, Any] | None = None
    reply_to: int | None = None
    mentions: list[str] = []
    forward_of: Source | None = None
    expires: int | None = None
    seq: int | None = None


class Edited(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The message `target` has this content now. `truncated`: the content is in `history`."""

    conv: str
    message_id: int
    target: int
    from_: str = field(name="from", default="")
    ts: int = 0
    text: str | None = None
    body: dict[str, Any] | None = None
    truncated: bool = False
    id: str | None = None
    device: str | None = None
    seq: int | None = None


class Recalled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of the message `target` is gone: taken back by `from_`, or `expired`."""

    conv: str
    message_id: int
    target: int
    from_: str = field(name="from", default="")
    ts: int = 0
    expired: bool = False
    id: str | None = None
    device: str | None = None
    seq: int | None = None


class Reaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody put an emoji under the message `target`, or took it back (`removed`)."""

    conv: str
    message_id: int
    target: int
    emoji: str
    from_: str = field(name="from", default="")
    ts: int = 0
    removed: bool = False
    id: str | None = None
    device: str | None = None
    seq: int | None = None


class Deleted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """This user deleted the message `target` for themselves, on whichever device."""

    conv: str
    target: int
    ts: int = 0
    seq: int | None = None


class MemberChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something about a member of a group, by whom.

    `action` is `joined`, `left`, `removed`, `role` (then `role` is the new one), `muted` (`until`, in milliseconds
    since 1970, if it ends by itself) or `unmuted`.
    """

    conv: str
    message_id: int
    action: str
    user: str
    by: str = ""
    ts: int = 0
    name: str | None = None
    mode: str | None = None
    role: str | None = None
    until: int | None = None
    seq: int | None = None


class GroupChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something about a group as a whole.

    `action` is `created`, `mode` (it became large), `renamed`, `settings` (the fields that changed are there) or
    `dissolved`. `muted` and `unmuted` are about one's own notifications of any conversation (`until`, if they come back
    by themselves); they are no entries, so their `message_id` is 0.
    """

    conv: str
    action: str
    message_id: int = 0
    mode: str = "small"
    by: str = ""
    ts: int = 0
    name: str | None = None
    history: str | None = None
    posting: str | None = None
    members: list[str] = []
    until: int | None = None
    seq: int | None = None


class ReadUpTo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """This user has read the conversation up to here, on whichever device."""

    conv: str
    message_id: int
    ts: int = 0
    seq: int | None = None


class ContactChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contact: `requested` (by this user), `received` (from `user`, perhaps with a `text`), `accepted` or
    `removed`. `blocked` and `unblocked` are this user's own doing, told to their own devices alone.
    """

    action: str
    user: str
    text: str | None = None
    ts: int = 0
    seq: int | None = None


class SystemNotice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The server's own word. `push_gone` and `push_again`: the push subscription of `device` is no more (`service` says
    `reason`), and the app there is to subscribe anew.
    """

    event: str = ""
    device: str = ""
    service: str = ""
    reason: str = ""
    ts: int = 0
    seq: int | None = None


Change = (
    Mention
    | Edited
    | Recalled
    | Reaction
    | Deleted
    | MemberChange
    | GroupChange
    | ReadUpTo
    | ContactChange
    | SystemNotice
)
BY_TYPE: dict[str, type[Change]] = {
    "mention": Mention,
    "edited": Edited,
    "recalled": Recalled,
    "reaction": Reaction,
    "deleted": Deleted,
    "member": MemberChange,
    "conversation": GroupChange,
    "read": ReadUpTo,
    "contact": ContactChange,
    "system": SystemNotice,
}
