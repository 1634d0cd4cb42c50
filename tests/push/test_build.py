"""Services from settings."""

import base64
import json
import subprocess
import sys

import pytest
from apple_stand_in import KEY_ID, TEAM_ID, TOPIC, Apple
from google_stand_in import Google
from push_talk import HELLO, Receiver, subscription

from bridge.push.ports import Refused, Sent
from pabal.errors import BadRequest
from push.build import PushSettings, WrongSetting, build, offered

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()


class NoWakes:
    async def wake(self, user, device, message): ...


@pytest.fixture
def account(service, tmp_path):
    file = tmp_path / "account.json"
    file.write_text(json.dumps(Google(service).account))
    return file


@pytest.fixture
def p8(service, tmp_path):
    file = tmp_path / "key.p8"
    file.write_bytes(Apple(service).pem)
    return file


def test_a_server_of_which_nothing_is_known_offers_what_needs_no_account(tmp_path):
    settings = PushSettings(tmp_path)
    services = build(settings)
    assert list(services) == offered(settings, mqtt=False) == ["webpush", "unifiedpush", "webhook", "stdout"]
    assert len(services) == 4
    assert services["stdout"].name == "stdout"
    assert services.vapid_key.startswith("B")


def test_each_account_adds_its_service(tmp_path, account, p8):
    settings = PushSettings(
        tmp_path, fcm_service_account=account, apns_key=p8, apns_key_id=KEY_ID, apns_team_id=TEAM_ID,
        apns_topic=TOPIC, webhook_secret=SECRET,
    )  # fmt: skip
    services = build(settings, NoWakes())
    assert list(services) == offered(settings, mqtt=True)
    assert set(services) == {"webpush", "unifiedpush", "fcm", "apns", "webhook", "mqtt", "stdout"}
    assert services.check("webhook", {"url": "https://hook.example/"}) == {"url": "https://hook.example/"}


@pytest.mark.parametrize("service", ["fcm", "carrier_pigeon", ""])
def test_a_service_that_is_not_offered_is_refused_with_those_that_are(tmp_path, service):
    with pytest.raises(BadRequest, match="service: this server offers webpush, unifiedpush, webhook, stdout"):
        build(PushSettings(tmp_path)).check(service, {})


async def test_what_was_chosen_may_be_private_and_what_clients_choose_may_not(service, tmp_path, account):
    services = build(
        PushSettings(
            tmp_path, ca=service.ca_file, fcm_service_account=account, fcm_url=service.url,
            fcm_token_url=f"{service.url}/token",
        )
    )  # fmt: skip
    target = {"endpoint": f"{service.url}/wpush", **Receiver().keys}
    with pytest.raises(BadRequest, match="private"):
        services.check("webpush", target)
    assert await services["webpush"].send(subscription("webpush", **target), HELLO) == Refused(
        "localhost is at a private address"
    )
    assert isinstance(await services["fcm"].send(subscription("fcm", token="t"), HELLO), Sent)
    await services.close()


async def test_a_private_host_that_is_allowed_is_reached(service, tmp_path):
    services = build(PushSettings(tmp_path, private_endpoints=("LocalHost", "[::1]"), ca=service.ca_file))
    target = services.check("webpush", {"endpoint": f"{service.url}/wpush", **Receiver().keys})
    assert isinstance(await services["webpush"].send(subscription("webpush", **target), HELLO), Sent)
    assert services.check("unifiedpush", target | {"endpoint": "https://[::1]:8443/"})
    await services.close()


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (None, "cannot be read"),
        ("nonsense", "is no JSON"),
        ("[]", "has no project_id"),
        ('{"project_id":"chat","client_email":"a"}', "has no private_key"),
        ('{"project_id":"","client_email":"a"}', "has no project_id"),
        ('{"project_id":"chat","client_email":"a","private_key":"b"}', "has a private_key that is none"),
    ],
)
def test_a_service_account_that_is_none_is_told(tmp_path, content, detail):
    file = tmp_path / "account.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(WrongSetting, match=detail) as wrong:
        build(PushSettings(tmp_path, fcm_service_account=file))
    assert wrong.value.name == "fcm_service_account"


def test_a_key_of_apple_that_is_none_is_told(tmp_path, p8):
    given = {"apns_key_id": KEY_ID, "apns_team_id": TEAM_ID, "apns_topic": TOPIC}
    for name in given:
        with pytest.raises(WrongSetting, match="is missing") as wrong:
            build(PushSettings(tmp_path, apns_key=p8, **given | {name: None}))
        assert wrong.value.name == name
    p8.write_text("nonsense")
    with pytest.raises(WrongSetting, match="is not a private key in PEM"):
        build(PushSettings(tmp_path, apns_key=p8, **given))
    p8.unlink()
    with pytest.raises(WrongSetting, match="cannot be read"):
        build(PushSettings(tmp_path, apns_key=p8, **given))


def test_a_webhook_secret_that_is_none_is_told(tmp_path):
    with pytest.raises(WrongSetting, match="webhook_secret"):
        build(PushSettings(tmp_path, webhook_secret="short"))


def test_a_file_of_cas_that_is_none_is_told(tmp_path):
    file = tmp_path / "ca.pem"
    for content, detail in ((None, "cannot be read"), ("nonsense", "has no certificate")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(WrongSetting, match=detail) as wrong:
            build(PushSettings(tmp_path, ca=file))
        assert wrong.value.name == "ca"


def test_nothing_that_takes_long_is_loaded_before_something_is_sent(tmp_path):
    script = (
        "import sys; from pathlib import Path; from push.build import PushSettings, build; "
        f"build(PushSettings(Path({str(tmp_path)!r}))); "
        "print([name for name in ('httpx2', 'pywebpush', 'py_vapid', 'google.auth', 'jwt') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "[]\n"
