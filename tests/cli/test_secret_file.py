"""Secrets from files: read, refused where anybody can read them, and which of several sources decides."""

import os

import pytest

from bridge.accounts import exposure
from cli import secret_file
from cli.configuration import load
from cli.errors import SettingsError

SECRET = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for key in os.environ:
        if key.upper().startswith("PABAL_"):
            monkeypatch.delenv(key)


@pytest.fixture
def file(tmp_path):
    def write(content=SECRET + "\n", mode=0o600, name="secret"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


def refusal(flags=None, config=None):
    with pytest.raises(SettingsError) as caught:
        load(flags, config)
    assert "\n" not in caught.value.cause
    assert SECRET not in caught.value.cause
    assert caught.value.exit_code == 2
    return caught.value.cause


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_secret_is_the_one_line_of_its_file(file, mode):
    assert secret_file.read("service_secret_file", file(mode=mode)) == SECRET


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666, 0o444])
def test_a_file_that_anybody_can_read_or_write_is_refused(file, mode):
    path = file(mode=mode)
    told = f"service_secret_file = '{path}' can be read by anybody; expected a file of mode 600 or 640"
    assert refusal({"service_secret_file": str(path)}) == told


def test_on_a_read_only_mount_the_mode_says_nothing(file, monkeypatch):
    path = file(mode=0o444)
    seen = os.statvfs(path)
    made = os.statvfs_result((*seen[:8], seen.f_flag | os.ST_RDONLY, *seen[9:]))
    monkeypatch.setattr(exposure.os, "statvfs", lambda _path: made)
    assert load({"service_secret_file": str(path)}).settings.service_secret.get_secret_value() == SECRET


@pytest.mark.parametrize("content", ["", " \n", b"\xff\xfe", "x" * 70_000])
def test_a_file_without_a_secret_is_refused(file, content):
    assert "has no secret in it" in refusal({"service_secret_file": str(file(content))})


def test_a_file_that_is_not_there_is_refused(tmp_path):
    said = refusal({"redis_url_file": str(tmp_path / "none")})
    assert "cannot be read (No such file or directory); expected a file with the secret" in said


def test_what_stands_in_the_file_is_checked_and_not_shown(file):
    path = file("mysql://u:hush@db/pabal")
    said = refusal({"database_url_file": str(path)})
    assert said.startswith(f"database_url = 'mysql:***' (file {path}) is not right; expected sqlite:")
    assert refusal({"service_secret": "too short"}).startswith(
        "service_secret = '***' (flag --service-secret)"
    )


@pytest.mark.parametrize("name", ["database_url", "redis_url", "service_secret"])
def test_a_secret_and_its_file_in_one_place_are_refused(file, name, monkeypatch):
    path = file("0123456789abcdef")
    told = f"{name} and {name}_file are both given; expected one of them"
    assert refusal({name: "x", f"{name}_file": str(path)}) == told
    monkeypatch.setenv(f"PABAL_{name.upper()}", "x")
    monkeypatch.setenv(f"PABAL_{name.upper()}_FILE", str(path))
    assert refusal() == told


def test_a_flag_goes_before_the_environment_and_that_before_the_configuration(file, monkeypatch, tmp_path):
    def used(flags=None):
        return load(flags, str(config)).settings.service_secret.get_secret_value()

    flag, variable, key = (file(name * 20, name=name) for name in ("flag", "variable", "key"))
    config = tmp_path / "pabal.toml"
    config.write_text(f"service_secret_file = '{key}'\n")
    assert used() == "key" * 20
    monkeypatch.setenv("PABAL_SERVICE_SECRET", "a variable of its own")
    assert used() == "a variable of its own"
    assert used({"service_secret_file": str(flag)}) == "flag" * 20
    monkeypatch.delenv("PABAL_SERVICE_SECRET")
    monkeypatch.setenv("PABAL_SERVICE_SECRET_FILE", str(variable))
    assert used() == "variable" * 20
    assert used({"service_secret": "given as a flag itself"}) == "given as a flag itself"
