"""mosquitto's dynamic security, as the file that its plugin reads at the start: who may come in, and do what.

mosquitto knows one credential for each user name, and binds it to one client id. A device therefore logs in as
`{user}:{device}`, under that very client id; the first device of a user may do so as `{user}` too.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pabal import topics
from pabal.acl import RECEIVE
from pabal.ids import DeviceId, UserId

Document = dict[str, Any]
# Of PBKDF2, as mosquitto has it. The secrets are random, so that guessing them is no way in.
_ITERATIONS: Final = 101
_SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64
_NOBODY: Final = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")


class Hashed(NamedTuple):
    """A password as the file has it."""

    password: str
    salt: str
    iterations: int


class DeviceAccess(NamedTuple):
    user: UserId
    device: DeviceId
    allow: frozenset[str]
    secret: Hashed


def hashed(password: str, salt: bytes) -> Hashed:
    """`salt` is random, of `_SALT_BYTES`."""
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, _HASH_BYTES)
    return Hashed(base64.b64encode(key).decode(), base64.b64encode(salt).decode(), _ITERATIONS)


def document(
    *, bridge: Hashed, services: Sequence[tuple[str, Hashed]], devices: Sequence[DeviceAccess]
) -> Document:
    """The whole file. `services` are instances by name. What nobody was allowed is refused."""
    roles = [_role("bridge", _all_of(topics.ROOT))]
    clients = [_client("bridge", None, bridge, "bridge")]
    for instance, secret in services:
        name = f"svc:{instance}"
        roles.append(
            _role(name, [*_sends(topics.service_up(instance)), *_gets(topics.service_down(instance))])
        )
        clients.append(_client(name, name, secret, name))
    named: set[str] = set()
    for one in devices:
        name = f"{one.user}:{one.device}"
        roles.append(_role(name, _rights(one)))
        clients.append(_client(name, name, one.secret, name))
        if one.user not in named:
            named.add(one.user)
            clients.append(_client(one.user, name, one.secret, name))
    return {
        "defaultACLAccess": dict.fromkeys(_NOBODY, False) | {"unsubscribe": True},
        "clients": clients,
        "groups": [],
        "roles": roles,
    }


def secret_in(old: Document, username: str) -> Hashed | None:
    """What a file of before has for this user name. Returns None if it has nothing that can be used."""
    clients = old.get("clients")
    for client in clients if isinstance(clients, list) else []:
        if isinstance(client, dict) and client.get("username") == username:
            try:
                return Hashed(str(client["password"]), str(client["salt"]), int(client["iterations"]))
            except (KeyError, TypeError, ValueError):
                return None
    return None


def _rights(of: DeviceAccess) -> list[Document]:
    found = [*_sends(topics.status(of.user, of.device)), *_gets(topics.down(of.user, of.device))]
    if of.allow:
        found += _sends(topics.up(of.user, of.device))
    if RECEIVE in of.allow:
        found += [*_gets(topics.inbox(of.user)), *_gets(topics.live(of.user))]
    return found


def _sends(topic: str) -> list[Document]:
    return [_acl("publishClientSend", topic)]


def _gets(topic: str) -> list[Document]:
    return [_acl("subscribeLiteral", topic), _acl("publishClientReceive", topic)]


def _all_of(root: str) -> list[Document]:
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    return [_acl(kind, f"{root}#") for kind in kinds]


def _acl(kind: str, topic: str) -> Document:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}


def _role(name: str, acls: list[Document]) -> Document:
    return {"rolename": name, "acls": acls}


def _client(username: str, client_id: str | None, secret: Hashed, role: str) -> Document:
    bound = {} if client_id is None else {"clientid": client_id}
    return {"username": username, **bound, "roles": [{"rolename": role}], **secret._asdict()}
