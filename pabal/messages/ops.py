"""All requests by their op, and all replies."""

from typing import get_args

from pabal.messages.group_replies import GroupPage, Invited, InvitePage
from pabal.messages.group_requests import (
    GroupAdd,
    GroupCreate,
    GroupDissolve,
    GroupGet,
    GroupInvite,
    GroupInvites,
    GroupJoin,
    GroupLeave,
    GroupMute,
    GroupRemove,
    GroupUninvite,
    GroupUpdate,
)
from pabal.messages.people_replies import (
    BlockPage,
    ContactPage,
    ContactState,
    PresenceList,
    ProfileReply,
    ReportDone,
    ReportPage,
    UserPage,
)
from pabal.messages.people_requests import (
    BlockAdd,
    BlockRemove,
    Blocks,
    ContactAccept,
    ContactRemove,
    ContactRequest,
    Contacts,
    Presence,
    Report,
    Reports,
    UserGet,
    Users,
)
from pabal.messages.push_replies import PushState, QuietState
from pabal.messages.push_requests import PushGet, PushRemove, PushSet, QuietGet, QuietRemove, QuietSet
from pabal.messages.replies import (
    Committed,
    ConversationPage,
    Done,
    HistoryPage,
    Refused,
    SyncPage,
    SyncReset,
)
from pabal.messages.requests import (
    Ack,
    Conversations,
    Delete,
    Edit,
    History,
    Mute,
    React,
    Read,
    Recall,
    Send,
    Sync,
    Typing,
)

AnyRequest = (
    Send
    | Edit
    | Recall
    | React
    | Ack
    | Read
    | Sync
    | History
    | Conversations
    | GroupCreate
    | GroupAdd
    | GroupRemove
    | GroupLeave
    | Presence
    | ContactRequest
    | ContactAccept
    | ContactRemove
    | Contacts
    | BlockAdd
    | BlockRemove
    | Blocks
    | Users
    | Report
    | UserGet
    | Reports
    | GroupUpdate
    | GroupDissolve
    | GroupMute
    | Mute
    | GroupInvite
    | GroupInvites
    | GroupUninvite
    | GroupJoin
    | GroupGet
    | Delete
    | Typing
    | PushSet
    | PushRemove
    | PushGet
    | QuietSet
    | QuietRemove
    | QuietGet
)
OPS: dict[str, type[AnyRequest]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyRequest)}
Reply = (
    Done
    | Committed
    | Refused
    | ConversationPage
    | SyncPage
    | SyncReset
    | HistoryPage
    | ContactState
    | ContactPage
    | BlockPage
    | UserPage
    | ReportDone
    | ProfileReply
    | ReportPage
    | Invited
    | InvitePage
    | GroupPage
    | PresenceList
    | PushState
    | QuietState
)
