"""The Pabal client library: a chat client that loses nothing.

`Client` is the whole of it for most programs; its module shows how it is used. `Rest` is the server's HTTP
interface. `Session` is the core without I/O, for other transports and for tests.
"""

from pabal_client.client import Client, PasswordSource
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
from pabal_client.pending import Pending, PendingSend
from pabal_client.rest import Rest
from pabal_client.session import Session
from pabal_client.tokens import FreshToken, Tokens
from pabal_client.updates import (
    Conversation,
    GroupChange,
    HistoryPage,
    MemberChange,
    Mention,
    Message,
    ReadUpTo,
    Snapshot,
    Update,
)

__all__ = [
    "Client",
    "ClientError",
    "Closed",
    "Conversation",
    "FreshToken",
    "GroupChange",
    "HistoryPage",
    "Kicked",
    "LoginRefused",
    "MemberChange",
    "Mention",
    "Message",
    "NotConfirmed",
    "OutboxFull",
    "PasswordSource",
    "Pending",
    "PendingSend",
    "ReadUpTo",
    "Rest",
    "Session",
    "Snapshot",
    "StoreError",
    "StoreInUse",
    "Tokens",
    "UnknownRefusal",
    "Unreachable",
    "Update",
]
