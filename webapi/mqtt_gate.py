"""Who may come into another broker, and publish and subscribe to what: the rules of the protocol, for all engines alike.

What an engine asks and how it is answered is in a module for each (`webapi.mqtt_emqx` and others); what is decided, here.
"""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from bridge.accounts.failures import FailedLogins
from bridge.accounts.origin import Origin
from bridge.accounts.service import Accounts
from bridge.accounts.tokens import TokenExpired
from pabal import acl, topics
from pabal.errors import BadRequest, Forbidden, RateLimited, Unauthorized
from pabal.ids import ClientId, ConvId, UserId, parse_client_id

SERVICE = "svc:"
_NOTHING = ""


class TopicFacts(Protocol):
    """What only the database knows of topics. Raises (each): errors.Unavailable."""

    def in_room(self, user: UserId, conv: ConvId) -> bool: ...

    def visible_to(self, viewer: UserId, users: Collection[UserId]) -> set[UserId]: ...


@dataclass(frozen=True, slots=True)
class Insiders:
    """The server's own parts, and how they log in. `service_secret` None: no service may.

    `bridge` and `bridge_password` are those of `mqtt_url`; its client ids begin with `bridge_client_id`.
    """

    services: tuple[str, ...] = ()
    service_secret: str | None = field(default=None, repr=False)
    bridge: str | None = None
    bridge_password: str | None = field(default=None, repr=False)
    bridge_client_id: str = ""


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge: it speaks for everybody, below the protocol's root."""


Principal = acl.Principal | Bridge


class MqttGate:
    """Thread-safe; every method may block."""

    def __init__(
        self, accounts: Accounts, facts: TopicFacts, failures: FailedLogins, insiders: Insiders
    ) -> None:
        self._accounts = accounts
        self._facts = facts
        self._failures = failures
        self._insiders = insiders

    def log_in(self, client_id: str, username: str, password: str, address: str) -> Principal | None:
        """Who that is, at CONNECT. Returns None if it may not come in, or not under this client id.

        Raises: errors.Unavailable if the database does not answer.
        """
        insider = self._insider(client_id, username)
        if insider is not None:
            return insider if self._is_secret_of(insider, password) else None
        try:
            login = self._accounts.authenticate_mqtt(username, password)
        except (Unauthorized, Forbidden) as error:
            self._count(username, address, error)
            return None
        mine = _client_of(client_id)
        if mine is None or (mine.user, mine.device) != (login.user, login.device):
            return None
        return acl.Device(login.user, login.device, login.allow, login.admin)

    def known(self, client_id: str, username: str) -> Principal | None:
        """Whom the broker has let in before, as it says. Returns None if it may do nothing (any more).

        Raises: errors.Unavailable.
        """
        insider = self._insider(client_id, username)
        if insider is not None:
            return insider
        mine = _client_of(client_id)
        if mine is None or mine.user != username:
            return None
        try:
            login = self._accounts.standing(mine.user, mine.device)
        except Unauthorized:
            return None
        return acl.Device(login.user, login.device, login.allow, login.admin)

    def may_publish(self, who: Principal, topic: str) -> bool:
        """Also what is left as a last will."""
        if isinstance(who, Bridge):
            return topic.startswith(topics.ROOT) and topics.is_valid_name(topic)
        return acl.may_publish(who, topic)

    def may_subscribe(self, who: Principal, topic_filter: str) -> bool:
        """Raises: errors.Unavailable."""
        if isinstance(who, Bridge):
            return topic_filter.startswith(topics.ROOT) and topics.is_valid_filter(topic_filter)
        relations = acl.Relations(
            sees_presence=lambda viewer, of: of in self._facts.visible_to(viewer, (of,)),
            in_room=self._facts.in_room,
        )
        return acl.may_subscribe(who, topic_filter, relations)

    def _insider(self, client_id: str, username: str) -> Principal | None:
        inside = self._insiders
        if inside.bridge is not None and username == inside.bridge:
            return Bridge() if client_id.startswith(inside.bridge_client_id) else None
        instance = username.removeprefix(SERVICE)
        known = any(instance == name or instance.startswith(f"{name}-") for name in inside.services)
        if username.startswith(SERVICE) and client_id == username and known:
            return acl.Service(instance)
        return None

    def _is_secret_of(self, insider: Principal, password: str) -> bool:
        """In constant time, and compared also where there is none."""
        inside = self._insiders
        secret = inside.bridge_password if isinstance(insider, Bridge) else inside.service_secret
        return hmac.compare_digest(password.encode(), (secret or _NOTHING).encode()) and bool(secret)

    def _count(self, username: str, address: str, error: Unauthorized | Forbidden) -> None:
        try:
            self._failures.failed(username, address)
        except RateLimited:
            return  # it is refused in any case; beyond the limit it is not written down either
        if not isinstance(error, TokenExpired):
            self._accounts.note_failure(UserId(username), Origin(address, via="mqtt"))


def _client_of(client_id: str) -> ClientId | None:
    try:
        return parse_client_id(client_id)
    except BadRequest:
        return None


@dataclass(frozen=True, slots=True)
class Right:
    """One line of what somebody may do whatever else happens."""

    publish: bool
    topic: str


def rights_of(who: Principal) -> list[Right]:
    """What holds for as long as the login does. What hangs on contacts and groups (`presence`, `room`) is not among it."""
    match who:
        case Bridge():
            return [Right(True, f"{topics.ROOT}#"), Right(False, f"{topics.ROOT}#")]
        case acl.Service(instance):
            return [Right(True, topics.service_up(instance)), Right(False, topics.service_down(instance))]
        case acl.Device(user, device, allow):
            found = [Right(True, topics.status(user, device)), Right(False, topics.down(user, device))]
            if allow:
                found.append(Right(True, topics.up(user, device)))
            if acl.RECEIVE in allow:
                found += [Right(False, topics.inbox(user)), Right(False, topics.live(user))]
            return found
