"""What people ask about groups beside their members: settings, who may write, links that invite."""

from typing import Literal

import msgspec

from pabal.ids import ConvId, DeviceId, UserId

Key = tuple[ConvId, UserId, DeviceId, str | None]


class UpdateGroup(msgspec.Struct, frozen=True, gc=False):
    """What is None stays as it is."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    name: str | None
    history: Literal["join", "all"] | None
    posting: Literal["all", "admins"] | None

    @property
    def key(self) -> Key:
        return (self.conv, self.user, self.device, self.request_id)


class DissolveGroup(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str

    @property
    def key(self) -> Key:
        return (self.conv, self.user, self.device, self.request_id)


class SilenceMember(msgspec.Struct, frozen=True, gc=False):
    """`until` in ms since 1970; None: for good. With `remove` the member may write again."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    target: UserId
    until: int | None
    remove: bool

    @property
    def key(self) -> Key:
        return (self.conv, self.user, self.device, self.request_id)


class MuteConversation(msgspec.Struct, frozen=True, gc=False):
    """One's own notifications, until then (ms since 1970); None: on again."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    until: int | None


class MakeInvite(msgspec.Struct, frozen=True, gc=False):
    """`code` is fresh; it is not used if the request was done before. `lifetime_ms`, `uses`: None is without end."""

    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    digest: str
    code: str
    lifetime_ms: int | None
    uses: int | None

    @property
    def key(self) -> Key:
        return (self.conv, self.user, self.device, self.request_id)


class EndInvite(msgspec.Struct, frozen=True, gc=False):
    user: UserId
    device: DeviceId
    request_id: str | None
    conv: ConvId
    code: str


class JoinByInvite(msgspec.Struct, frozen=True, gc=False):
    """Of which group the code is, the database knows."""

    user: UserId
    device: DeviceId
    request_id: str | None
    digest: str
    code: str


GroupLogCommand = UpdateGroup | DissolveGroup | SilenceMember
GroupCommand = GroupLogCommand | MuteConversation | MakeInvite | EndInvite | JoinByInvite
