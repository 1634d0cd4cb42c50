"""Puts the push services together from what somebody who runs a server has chosen."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bridge.push.ports import PushService
from pabal.errors import BadRequest
from push import apns, fcm, vapid
from push.apns_token import ApnsToken, read_key
from push.encrypted_push import EncryptedPush
from push.endpoints import ANY_HOST, LONGEST_URL, EndpointRules
from push.google_token import GoogleToken
from push.lazy_posts import LazyPosts
from push.mqtt import MqttWake, Wakes
from push.stdout import Stdout
from push.unified_push import LONGEST_ENDPOINT, UnifiedPush
from push.web_push import WebPush
from push.webhook import SECRET, Webhook, secret_bytes

# Who runs the server chose these addresses: they may be anywhere.
_CHOSEN: Final = EndpointRules(frozenset({ANY_HOST}))
_ACCOUNT_FIELDS: Final = ("project_id", "client_email", "private_key")


class WrongSetting(Exception):  # noqa: N818 -- it says what it is
    """`name` is the field of `PushSettings`; `detail` says what is wrong with it, and `expected` what is not."""

    def __init__(self, name: str, detail: str, expected: str) -> None:
        super().__init__(f"{name}: {detail}; expected {expected}")
        self.name = name
        self.detail = detail
        self.expected = expected


@dataclass(frozen=True, slots=True)
class PushSettings:
    """All that the services are made from. Where `fcm_service_account` or `apns_key` is None, there is no such
    service; `webhook_secret` signs for subscriptions without a secret of their own.
    """

    folder: Path
    private_endpoints: tuple[str, ...] = ()
    ca: Path | None = None
    vapid_key_file: Path | None = None
    vapid_subject: str = "mailto:postmaster@localhost"
    fcm_service_account: Path | None = None
    fcm_url: str = fcm.URL
    fcm_token_url: str | None = None
    apns_key: Path | None = None
    apns_key_id: str | None = None
    apns_team_id: str | None = None
    apns_topic: str | None = None
    apns_url: str = apns.URL
    webhook_secret: str | None = None


class PushServices(Mapping[str, PushService]):
    """The services by name, for a worker; what they take, for the relay; what is offered, for clients."""

    def __init__(self, services: Mapping[str, PushService], vapid_key: str) -> None:
        self._services = dict(services)
        self.vapid_key = vapid_key

    def check(self, service: str, target: Mapping[str, Any]) -> dict[str, Any]:
        """What to keep of a subscription. Raises: BadRequest with the field."""
        if service not in self._services:
            raise BadRequest(f"this server offers {', '.join(self._services)}", field="service")
        return self._services[service].check(target)

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()

    def __getitem__(self, name: str) -> PushService:
        return self._services[name]

    def __iter__(self) -> Any:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)


def offered(settings: PushSettings, *, mqtt: bool) -> list[str]:
    """The names of the services that `build` makes."""
    made = {
        "webpush": True,
        "unifiedpush": True,
        "fcm": settings.fcm_service_account is not None,
        "apns": settings.apns_key is not None,
        "webhook": True,
        "mqtt": mqtt,
        "stdout": True,
    }
    return [name for name, is_there in made.items() if is_there]


def build(
    settings: PushSettings, wakes: Wakes | None = None, clock: Callable[[], float] = time.time
) -> PushServices:
    """All services that are configured; `mqtt` where there is somebody to publish (`wakes`). Nothing is connected to,
    and no HTTP client loaded, before something is sent. `clock` tells seconds since 1970.

    Raises: WrongSetting; KeyFileError for the VAPID key.
    """
    rules = EndpointRules(frozenset(host.lower().strip("[]") for host in settings.private_endpoints))
    _check_ca(settings.ca)
    posts, chosen = LazyPosts(rules, settings.ca), LazyPosts(_CHOSEN, settings.ca)
    key = vapid.open_key(settings.folder, settings.vapid_key_file)
    tokens = vapid.Vapid(key, settings.vapid_subject, clock)
    secret = _secret(settings.webhook_secret)
    made: list[PushService] = [
        WebPush(EncryptedPush(posts, tokens, rules, clock, LONGEST_URL)),
        UnifiedPush(EncryptedPush(posts, tokens, rules, clock, LONGEST_ENDPOINT)),
    ]
    if settings.fcm_service_account is not None:
        account = _account(settings.fcm_service_account)
        google = GoogleToken(account, chosen, settings.fcm_token_url)
        made.append(fcm.Fcm(chosen, google, account["project_id"], clock, settings.fcm_url))
    if settings.apns_key is not None:
        made.append(_apns(settings, settings.apns_key, chosen, clock))
    made.append(Webhook(posts, rules, clock, secret))
    if wakes is not None:
        made.append(MqttWake(wakes))
    made.append(Stdout())
    return PushServices({service.name: service for service in made}, vapid.public_text(key))


def _apns(settings: PushSettings, file: Path, posts: LazyPosts, clock: Callable[[], float]) -> apns.Apns:
    """Raises: WrongSetting."""
    for name in ("apns_key_id", "apns_team_id", "apns_topic"):
        if getattr(settings, name) is None:
            raise WrongSetting(name, "is missing beside apns_key", "what Apple shows with the key")
    try:
        key = read_key(_read("apns_key", file, "the .p8 file of Apple"))
    except ValueError as error:
        raise WrongSetting("apns_key", f"{file} is {error}", "the .p8 file of Apple") from None
    token = ApnsToken(key, str(settings.apns_key_id), str(settings.apns_team_id), clock)
    return apns.Apns(posts, token, str(settings.apns_topic), clock, settings.apns_url)


def _account(file: Path) -> dict[str, Any]:
    """What a service account's file says. Raises: WrongSetting."""
    name, expected = "fcm_service_account", "the JSON file of a service account, as Google gives it"
    try:
        account = json.loads(_read(name, file, expected))
    except ValueError:
        raise WrongSetting(name, f"{file} is no JSON", expected) from None
    missing = [
        field
        for field in _ACCOUNT_FIELDS
        if not (isinstance(account, dict) and isinstance(account.get(field), str) and account[field])
    ]
    if missing:
        raise WrongSetting(name, f"{file} has no {missing[0]}", expected)
    try:
        load_pem_private_key(account["private_key"].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongSetting(name, f"{file} has a private_key that is none", expected) from None
    return dict(account)


def _check_ca(file: Path | None) -> None:
    """Raises: WrongSetting."""
    if file is None:
        return
    expected = "a PEM file of certificates"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=_read("ca", file, expected).decode(errors="replace")
        )
    except (ssl.SSLError, ValueError):
        raise WrongSetting("ca", f"{file} has no certificate", expected) from None


def _secret(text: str | None) -> str | None:
    """Raises: WrongSetting."""
    if text is None:
        return None
    try:
        secret_bytes(text)
    except ValueError:
        raise WrongSetting("webhook_secret", "is no secret of the right form and size", SECRET) from None
    return text


def _read(name: str, file: Path, expected: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongSetting(name, f"{file} cannot be read ({error.strerror})", expected) from None
