import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import folder
from cli.errors import CliError, SettingsError

HOLD = """
import sys, pathlib
from cli.folder import Lock
lock = Lock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / folder.LOCK_FILE


@pytest.fixture
def other(path):
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_missing_folder_is_made_for_this_user_only(tmp_path):
    folder.prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    folder.prepare(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_is_no_data_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as caught:
        folder.prepare(tmp_path / "file")
    assert caught.value.cause == (
        f"data = '{tmp_path}/file' is not a folder; expected a folder that this user may write"
    )


@pytest.mark.parametrize("unwritable", ["/proc/pabal", "/proc/self", "{tmp}/file/below"])
def test_a_folder_that_cannot_be_made_or_written_is_named_in_one_line(tmp_path, unwritable):
    (tmp_path / "file").touch()
    name = unwritable.format(tmp=tmp_path)
    with pytest.raises(SettingsError) as caught:
        folder.prepare(Path(name), setting="database_url")
    assert caught.value.cause.startswith(f"database_url = '{name}' cannot be written (")
    assert "\n" not in caught.value.cause


def test_a_lock_that_cannot_be_written_is_a_folder_that_cannot(path, monkeypatch):
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be written"):
        folder.Lock(path).acquire()
    path.rmdir()

    def full() -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("cli.folder.os.getpid", full)
        with pytest.raises(SettingsError, match="No space left on device"):
            folder.Lock(path).acquire()
    with folder.Lock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_second_holder_is_refused_and_told_the_pid_of_the_first(path, other):
    with pytest.raises(CliError) as caught:
        folder.Lock(path).acquire()
    assert caught.value.cause.startswith(f"a server with pid {other.pid} already uses {path.parent}; ")
    assert caught.value.exit_code == 1
    assert folder.holder(path.parent) == other.pid


def test_what_a_killed_holder_leaves_behind_is_free_and_known_as_unclean(path, other):
    other.kill()
    other.wait()
    assert folder.holder(path.parent) is None
    with folder.Lock(path) as lock:
        assert lock.unclean
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_released_lock_is_free_and_known_as_clean(path):
    with folder.Lock(path) as lock:
        assert not lock.unclean
    lock.release()
    assert path.read_text() == ""
    with folder.Lock(path) as lock:
        assert not lock.unclean
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_without_a_lock_has_no_holder(tmp_path):
    assert folder.holder(tmp_path / "missing") is None
