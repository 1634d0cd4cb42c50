import os
import subprocess

import pytest
from compose_files import DOCKER


@pytest.fixture
def first_start(tmp_path):
    """Run docker/first-start for a folder of this test. Returns the folder; may be called again."""

    def run():
        subprocess.run(
            [DOCKER / "first-start", tmp_path / "stack"], check=True, capture_output=True, timeout=60
        )
        return tmp_path / "stack"

    return run


@pytest.fixture
def made_secrets(first_start, monkeypatch):
    """The folder of the secrets; no setting comes from elsewhere."""
    for name in list(os.environ):
        if name.startswith("PABAL_"):
            monkeypatch.delenv(name)
    return first_start() / "secrets"


@pytest.fixture
def mosquitto_folder(tmp_path):
    """What `pabal mosquitto-config` leaves there."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    for name, secret in (("mqtt-url", "mqtt://bridge:secret@mosquitto:1883"), ("service-secret", "s" * 43)):
        (folder / name).write_text(f"{secret}\n")
        (folder / name).chmod(0o600)
    return folder
