"""Push services from settings: what is wrong stops the start in one line that names the setting."""

import base64
import json

import pytest

from cli import configuration
from cli.errors import SettingsError
from cli.push_services import push_offer, push_services

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()


def _settings(tmp_path, **given):
    return configuration.load({"data": str(tmp_path), **given}).settings


def test_without_settings_there_is_what_needs_none(tmp_path):
    services = push_services(_settings(tmp_path))
    assert list(services) == ["webpush", "unifiedpush", "webhook", "stdout"]
    offer = push_offer(_settings(tmp_path, push="off"))
    assert offer.services == tuple(services)
    assert offer.vapid_key == services.vapid_key
    assert "mqtt" in push_offer(_settings(tmp_path)).services


def test_settings_reach_the_services(tmp_path):
    settings = _settings(tmp_path, push_private_endpoints="localhost, 10.0.0.7", push_webhook_secret=SECRET)
    services = push_services(settings)
    assert services.check("webhook", {"url": "https://10.0.0.7:8443/"}) == {"url": "https://10.0.0.7:8443/"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"push": "maybe"}, "push = 'maybe'"),
        ({"vapid_subject": "me"}, "vapid_subject = 'me'"),
        ({"apns_key_id": "short"}, "apns_key_id = 'short'"),
        ({"apns_url": "http://apple.example"}, "apns_url = "),
        ({"fcm_url": "fcm.example"}, "fcm_url = "),
        ({"fcm_service_account": "none.json"}, "fcm_service_account: none.json cannot be read"),
        ({"apns_key": "none.p8"}, "apns_key_id: is missing beside apns_key"),
        ({"push_ca": "none.pem"}, "push_ca: none.pem cannot be read"),
        ({"push_webhook_secret": "hush-hush"}, "push_webhook_secret: is no secret"),
    ],
)
def test_a_wrong_one_is_told_by_its_name_and_without_a_secret(tmp_path, given, told):
    with pytest.raises(SettingsError) as wrong:
        push_services(_settings(tmp_path, **given))
    assert str(wrong.value).startswith(told)
    assert "expected" in str(wrong.value)
    assert "\n" not in str(wrong.value)
    assert "hush-hush" not in str(wrong.value)


def test_an_account_of_something_else_is_told(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(json.dumps({"type": "authorized_user"}))
    with pytest.raises(SettingsError, match="has no project_id"):
        push_services(_settings(tmp_path, fcm_service_account=str(file)))
