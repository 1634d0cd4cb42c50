"""What `pabal mosquitto-config` writes; that mosquitto takes it is seen in tests/functional/test_mosquitto_stack.py."""

import json
import stat

import pytest

from cli import database
from cli.main import main
from cli.mosquitto import dynsec
from cli.mosquitto.dynsec import DeviceAccess, hashed
from cli.settings import Settings
from pabal.acl import EVERYTHING
from pabal.ids import DeviceId, UserId

SECRET = hashed("a secret", b"twelve bytes")
SENSOR = DeviceAccess(UserId("alice"), DeviceId("sensor"), frozenset({"send"}), SECRET)
PHONE = DeviceAccess(UserId("alice"), DeviceId("phone"), EVERYTHING, SECRET)


def made(*devices):
    return dynsec.document(bridge=SECRET, services=[("web-1", SECRET)], devices=devices)


def acls(document, role):
    [found] = [one for one in document["roles"] if one["rolename"] == role]
    return {(acl["acltype"], acl["topic"]) for acl in found["acls"]}


def test_what_nobody_was_allowed_is_refused():
    access = made()["defaultACLAccess"]
    assert (access["publishClientSend"], access["publishClientReceive"], access["subscribe"]) == (
        False,
        False,
        False,
    )


def test_a_device_has_its_own_topics_and_no_others():
    assert acls(made(PHONE), "alice:phone") == {
        ("publishClientSend", "pabal/v1/up/alice/phone"),
        ("publishClientSend", "pabal/v1/status/alice/phone"),
        *((kind, topic) for kind in ("subscribeLiteral", "publishClientReceive")
          for topic in ("pabal/v1/down/alice/phone", "pabal/v1/inbox/alice", "pabal/v1/live/alice")),
    }  # fmt: skip
    assert ("subscribeLiteral", "pabal/v1/inbox/alice") not in acls(made(SENSOR), "alice:sensor")


def test_each_credential_is_bound_to_its_client_id_and_the_first_device_answers_to_the_users_name():
    clients = {client["username"]: client.get("clientid") for client in made(PHONE, SENSOR)["clients"]}
    assert clients == {
        "bridge": None, "svc:web-1": "svc:web-1",
        "alice:phone": "alice:phone", "alice": "alice:phone", "alice:sensor": "alice:sensor",
    }  # fmt: skip


def test_a_secret_of_before_is_found_again_and_one_that_cannot_be_read_is_none():
    assert dynsec.secret_in(made(PHONE), "alice:phone") == SECRET
    assert dynsec.secret_in(made(PHONE), "bob:phone") is None
    assert dynsec.secret_in({"clients": [{"username": "alice:phone"}]}, "alice:phone") is None
    assert dynsec.secret_in({"clients": None}, "alice:phone") is None


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    with database.accounts(Settings(data=folder)) as accounts:
        accounts.sign_up("alice", "correct horse battery")
    return folder


def run(data, out, *more):
    return main(["mosquitto-config", "--data", str(data), "--out", str(out), *more])


def test_it_writes_all_that_is_needed_for_its_owner_alone_and_prints_each_secret_once(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(data, out, "--device", "alice:phone", "--listen", "127.0.0.1:18999") == 0
    name, secret = capsys.readouterr().out.split()
    assert name == "alice:phone"
    with database.accounts(Settings(data=data)) as accounts:
        assert accounts.authenticate_mqtt("alice", secret).device == "phone"
    for file in ("mosquitto.conf", "dynamic-security.json", "mqtt-url", "service-secret"):
        assert stat.S_IMODE((out / file).stat().st_mode) == 0o600
    config = (out / "mosquitto.conf").read_text().splitlines()
    assert "listener 18999 127.0.0.1" in config
    assert {"persistence true", "allow_anonymous false"} <= set(config)
    assert secret not in (out / "dynamic-security.json").read_text()
    url = (out / "mqtt-url").read_text()
    assert run(data, out, "--listen", "127.0.0.1:18999") == 0
    assert capsys.readouterr().out == ""
    assert (out / "mqtt-url").read_text() == url
    assert dynsec.secret_in(json.loads((out / "dynamic-security.json").read_text()), "alice:phone")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--device", "alice"], "--device = 'alice' is not right"),
        (["--device", "Alice:phone"], "expected USER:DEVICE"),
        (["--listen", "1883"], "--listen = '1883' is not right"),
        (["--listen", "127.0.0.1:0"], "expected a port"),
        (["--device", "nobody:phone"], "nobody"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(data, tmp_path, capsys, more, says):
    assert run(data, tmp_path / "out", *more) in {1, 2}
    assert says in capsys.readouterr().err


def test_a_file_of_before_that_cannot_be_read_is_not_written_over(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(data, out, "--device", "alice:phone") == 0
    (out / "dynamic-security.json").write_text("{")
    assert run(data, out) == 1
    assert "is no JSON object" in capsys.readouterr().err
    assert (out / "dynamic-security.json").read_text() == "{"
