"""Who comes in: a device with its credential or certificate, or a part of the server itself.

Codes of the CONNACK, in MQTT 5 and in 3.1.1: 0x86 (0x04) for a user name or password that is missing, malformed or
wrong; 0x87 (0x05) for a client id that is not the credential's; 0x9F (0x05) after too many failures; 0x88 (0x03) while
the database does not answer.
"""

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from amqtt.contexts import BaseContext
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from broker.guard import CREDENTIAL, PRINCIPAL, REFUSAL
from broker.mqtt.reasons import Reason
from broker.tls import identity_of
from pabal.acl import Device, Principal, Service
from pabal.errors import BadRequest, RateLimited, Unauthorized, Unavailable
from pabal.ids import ClientId, parse_client_id, parse_user

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bridge.ports import Authenticator, Login

_SERVICE: Final = "svc:"


class _Refused(Exception):  # noqa: N818 -- named like the refusals of pabal.errors
    def __init__(self, code: Reason) -> None:
        super().__init__(code)
        self.code = code


class LoginPlugin(BaseAuthPlugin):
    """Checks a CONNECT, and leaves in the session's attributes who it is."""

    @dataclass
    class Config:
        """`authenticator` is a `bridge.ports.Authenticator`; `services` maps services to their secrets: an instance
        has the name of its service, or that with `-` and a name of its own behind it.
        """

        authenticator: Any
        services: dict[str, str] = field(default_factory=dict, repr=False)

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._authenticator: Authenticator = self.config.authenticator
        self._services: dict[str, str] = self.config.services

    async def authenticate(self, *, session: Session) -> bool | None:
        try:
            session.attributes[PRINCIPAL] = await self._principal(session)
        except _Refused as refused:
            session.attributes[REFUSAL] = refused.code
            return False
        return True

    async def _principal(self, session: Session) -> Principal:
        """Raises: _Refused."""
        username, password = session.username, session.password
        certified = identity_of(session.ssl_object)
        if certified is not None and password is None:
            return await self._by_certificate(session, certified)
        if not username or password is None:
            raise _Refused(Reason.BAD_USER_NAME_OR_PASSWORD)
        if username.startswith(_SERVICE):
            return self._service(username, password, session.client_id)
        try:
            user = parse_user(username)
        except BadRequest:
            raise _Refused(Reason.BAD_USER_NAME_OR_PASSWORD) from None
        login = await _answer(self._authenticator.authenticate(user, password, session.remote_address or ""))
        if login.user != user:
            raise _Refused(Reason.NOT_AUTHORIZED)
        return self._device(session, login)

    async def _by_certificate(self, session: Session, certified: ClientId) -> Principal:
        """TLS has checked that the certificate is the client's and of a CA that may say so.

        Raises: _Refused.
        """
        if session.username not in {None, "", certified.user}:
            raise _Refused(Reason.NOT_AUTHORIZED)
        return self._device(
            session, await _answer(self._authenticator.vouched(certified.user, certified.device))
        )

    @staticmethod
    def _device(session: Session, login: "Login") -> Principal:
        """The client id has to be this login's. Raises: _Refused."""
        try:
            client_id = parse_client_id(session.client_id)
        except BadRequest:
            raise _Refused(Reason.NOT_AUTHORIZED) from None
        if (client_id.user, client_id.device) != (login.user, login.device):
            raise _Refused(Reason.NOT_AUTHORIZED)
        session.attributes[CREDENTIAL] = login.credential
        return Device(login.user, login.device, login.allow, login.admin)

    def _service(self, username: str, password: str, client_id: str | None) -> Service:
        """Raises: _Refused."""
        instance = username.removeprefix(_SERVICE)
        secret = self._services.get(instance) or self._services.get(instance.partition("-")[0])
        # Compared in constant time, and compared also where there is none.
        good = hmac.compare_digest(password.encode(), (secret or "").encode())
        if not good or not secret:
            raise _Refused(Reason.BAD_USER_NAME_OR_PASSWORD)
        if client_id != username:
            raise _Refused(Reason.NOT_AUTHORIZED)
        return Service(instance)


async def _answer(asked: "Awaitable[Login]") -> "Login":
    """Raises: _Refused."""
    try:
        return await asked
    except Unauthorized:
        raise _Refused(Reason.BAD_USER_NAME_OR_PASSWORD) from None
    except RateLimited:
        raise _Refused(Reason.CONNECTION_RATE_EXCEEDED) from None
    except Unavailable:
        raise _Refused(Reason.SERVER_UNAVAILABLE) from None
