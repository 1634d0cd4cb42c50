"""The Pabal client library: a chat client that loses nothing.

`Client` is the whole of it for most programs; its module shows how it is used. `Rest` is the server's HTTP
interface. `Session` is the core without I/O, for other transports and for tests.
"""

from pabal_client.changes import (
    ContactChange,
    Deleted,
    Edited,
    GroupChange,
    MemberChange,
    Mention,
    Reaction,
    ReadUpTo,
    Recalled,
    Source,
    SystemNotice,
)
from pabal_client.client import Client
from pabal_client.contacts import Block, Contact
from pabal_client.errors import (
    ClientError,
    Closed,
    Kicked,
    LoginRefused,
    NotConfirmed,
    OutboxFull,
    StoreError,
    StoreInUse,
    UnknownRefusal,
    Unreachable,
)
from pabal_client.groups import Group, Invite, Member
from pabal_client.live import Presence, Receipt, Typing
from pabal_client.me import Authorised, DeviceRow, Me, PasswordSource, Privacy, Profile
from pabal_client.pending import Pending, PendingSend
from pabal_client.rest import Rest
from pabal_client.session import Session
from pabal_client.tokens import FreshToken, Tokens
from pabal_client.updates import Conversation, HistoryPage, Message, Reacted, Snapshot, Update

__all__ = [
    "Authorised",
    "Block",
    "Client",
    "ClientError",
    "Closed",
    "Contact",
    "ContactChange",
    "Conversation",
    "Deleted",
    "DeviceRow",
    "Edited",
    "FreshToken",
    "Group",
    "GroupChange",
    "HistoryPage",
    "Invite",
    "Kicked",
    "LoginRefused",
    "Me",
    "Member",
    "MemberChange",
    "Mention",
    "Message",
    "NotConfirmed",
    "OutboxFull",
    "PasswordSource",
    "Pending",
    "PendingSend",
    "Presence",
    "Privacy",
    "Profile",
    "Reacted",
    "Reaction",
    "ReadUpTo",
    "Recalled",
    "Receipt",
    "Rest",
    "Session",
    "Snapshot",
    "Source",
    "StoreError",
    "StoreInUse",
    "SystemNotice",
    "Tokens",
    "Typing",
    "UnknownRefusal",
    "Unreachable",
    "Update",
]
