"""The push services of a server, from its settings."""

import contextlib
from collections.abc import Iterator

from cli.errors import SettingsError
from cli.settings import Settings
from push import vapid
from push.build import PushServices, PushSettings, WrongSetting, build, offered
from push.mqtt import Wakes
from webapi.settings import PushOffer


def push_settings(settings: Settings) -> PushSettings:
    secret = settings.push_webhook_secret
    return PushSettings(
        folder=settings.data,
        private_endpoints=tuple(settings.push_private_endpoints),
        ca=settings.push_ca,
        vapid_key_file=settings.vapid_key_file,
        vapid_subject=settings.vapid_subject,
        fcm_service_account=settings.fcm_service_account,
        fcm_url=settings.fcm_url,
        fcm_token_url=settings.fcm_token_url,
        apns_key=settings.apns_key,
        apns_key_id=settings.apns_key_id,
        apns_team_id=settings.apns_team_id,
        apns_topic=settings.apns_topic,
        apns_url=settings.apns_url,
        webhook_secret=None if secret is None else secret.get_secret_value(),
    )


def push_services(settings: Settings, wakes: Wakes | None = None) -> PushServices:
    """Raises: SettingsError, in one line, for a wrong setting; KeyFileError for the VAPID key."""
    with _told():
        return build(push_settings(settings), wakes)


def push_offer(settings: Settings) -> PushOffer:
    """What clients are told. Raises: KeyFileError for the VAPID key."""
    services = offered(push_settings(settings), mqtt=settings.push == "embedded")
    return PushOffer(
        tuple(services), vapid.public_text(vapid.open_key(settings.data, settings.vapid_key_file))
    )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except WrongSetting as wrong:
        name = wrong.name if wrong.name in Settings.model_fields else f"push_{wrong.name}"
        raise SettingsError(f"{name}: {wrong.detail}; expected {wrong.expected}") from None
