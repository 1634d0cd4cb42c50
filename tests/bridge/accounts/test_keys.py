import errno
import json
import os
import threading

import pytest
from account_fakes import START

from bridge.accounts.key_errors import KeyFileError
from bridge.accounts.keys import ACCESS_TTL_S, FILE_NAME, Keyring


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path):
    folder = tmp_path / "data"
    ring = Keyring.open(folder / FILE_NAME, now=START)
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert ring.verifying(ring.signing().kid, START) is not None


def test_the_next_start_has_the_same_key(tmp_path):
    first = Keyring.open(tmp_path / FILE_NAME, now=START).signing()
    second = Keyring.open(tmp_path / FILE_NAME, now=START + 10**8).signing()
    assert first.kid == second.kid
    assert first.private.private_bytes_raw() == second.private.private_bytes_raw()


def test_many_that_start_at_once_agree_on_one_key(tmp_path):
    kids = []
    threads = [
        threading.Thread(
            target=lambda: kids.append(Keyring.open(tmp_path / FILE_NAME, now=START).signing().kid)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 8
    assert len(set(kids)) == 1


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies_until_its_tokens_are_gone(tmp_path):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    old = ring.signing().kid
    new = ring.rotate(START)
    assert ring.signing().kid == new != old
    assert ring.verifying(old, START + ACCESS_TTL_S) is not None
    assert ring.verifying(old, START + ACCESS_TTL_S + 2) is None
    assert ring.verifying(new, START + ACCESS_TTL_S + 2) is not None


def test_another_process_sees_a_rotation(tmp_path):
    other = Keyring.open(tmp_path / FILE_NAME, now=START)
    before = other.signing().kid
    new = Keyring.open(tmp_path / FILE_NAME, now=START).rotate(START)
    assert other.verifying(new, START) is not None
    assert other.signing().kid == new != before


@pytest.mark.parametrize("how", ["rotate", "start"])
def test_a_key_whose_tokens_are_gone_is_dropped_from_the_file(tmp_path, how):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    old = ring.signing().kid
    ring.rotate(START)
    later = START + ACCESS_TTL_S + 2
    ring.rotate(later) if how == "rotate" else Keyring.open(tmp_path / FILE_NAME, now=later)
    kids = [key["kid"] for key in json.loads((tmp_path / FILE_NAME).read_bytes())["keys"]]
    assert old not in kids
    assert ring.signing().kid in kids


def test_no_scratch_file_is_left_behind(tmp_path):
    Keyring.open(tmp_path / FILE_NAME, now=START).rotate(START)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{FILE_NAME}.lock", FILE_NAME]


def test_a_file_that_others_can_read_is_refused_with_a_hint(tmp_path):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    ring.signing()
    (tmp_path / FILE_NAME).chmod(0o640)
    with pytest.raises(KeyFileError) as refused:
        Keyring.open(tmp_path / FILE_NAME, now=START)
    assert "can be read by other users" in refused.value.detail
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"keys":[]}', b'{"keys":[{"kid":"a","seed":"AAAA","created":1}]}', b"\xff\xfe"],
)
def test_a_malformed_file_is_refused_with_a_hint(tmp_path, content):
    Keyring.open(tmp_path / FILE_NAME, now=START)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(KeyFileError) as refused:
        Keyring.open(tmp_path / FILE_NAME, now=START)
    assert "no key file" in refused.value.detail
    assert "backup" in refused.value.hint


def test_a_file_whose_newest_key_is_retired_is_refused(tmp_path):
    Keyring.open(tmp_path / FILE_NAME, now=START)
    path = tmp_path / FILE_NAME
    stored = json.loads(path.read_bytes())
    stored["keys"][0]["retired"] = int(START)
    path.write_text(json.dumps(stored))
    with pytest.raises(KeyFileError, match="no key in it signs"):
        Keyring.open(tmp_path / FILE_NAME, now=START)


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError) as refused:
        Keyring.open(tmp_path / "file" / "data" / FILE_NAME, now=START)
    assert "\n" not in refused.value.detail


def test_a_file_that_vanished_is_refused_when_it_is_next_needed(tmp_path):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(KeyFileError, match="cannot be used"):
        ring.signing()
    with pytest.raises(KeyFileError, match="cannot be used"):
        ring.rotate(START)


def test_a_disk_that_takes_no_new_file_leaves_the_old_keys(tmp_path, monkeypatch):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    before = (tmp_path / FILE_NAME).read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        ring.rotate(START)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert not list(tmp_path.glob(".keys.json.[0-9a-f]*"))


def test_a_file_of_any_name_is_a_keyring_that_all_who_read_it_share(tmp_path):
    path = tmp_path / "shared" / "signing.json"
    with pytest.raises(KeyFileError, match="is not there"):
        Keyring.existing(path)
    ring = Keyring.open(path, now=START)
    reader = Keyring.existing(path)
    assert reader.signing().kid == ring.signing().kid
    fresh = ring.rotate(START)
    assert reader.signing().kid == fresh
    assert sorted(one.name for one in path.parent.iterdir()) == [".signing.json.lock", "signing.json"]


def test_in_a_folder_that_cannot_be_written_the_file_is_used_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / FILE_NAME
    kid = Keyring.open(path, now=START).signing().kid
    before = path.read_bytes()

    def refuse(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        ring = Keyring.open(path, now=START + 10**8)
        with pytest.raises(KeyFileError, match="Read-only file system"):
            ring.rotate(START)
        with pytest.raises(KeyFileError, match="Read-only file system"):
            Keyring.open(tmp_path / "other.json", now=START)
    assert ring.signing().kid == kid
    assert path.read_bytes() == before
    fresh = Keyring.open(path, now=START).rotate(START)
    assert ring.signing().kid == fresh
