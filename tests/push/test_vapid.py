"""The key by which push services know this server, and its tokens."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from push_talk import NOW
from py_vapid.jwt import decode

from bridge.accounts.key_errors import KeyFileError
from push import vapid


@pytest.fixture
def tokens(tmp_path, clock):
    return vapid.Vapid(vapid.open_key(tmp_path), "mailto:ops@chat.example", clock)


def test_the_key_is_made_at_first_use_and_stays(tmp_path):
    folder = tmp_path / "data"
    key = vapid.open_key(folder)
    assert vapid.public_text(vapid.open_key(folder)) == vapid.public_text(key)
    file = folder / "vapid.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["vapid.pem"]


def test_its_public_half_is_what_browsers_want(tmp_path):
    text = vapid.public_text(vapid.open_key(tmp_path))
    assert (len(text), text[0]) == (87, "B")


def test_who_comes_second_takes_the_key_of_who_came_first(tmp_path):
    first = vapid.open_key(tmp_path)
    vapid._make(tmp_path / "vapid.pem")
    assert vapid.public_text(vapid.open_key(tmp_path)) == vapid.public_text(first)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    vapid.open_key(tmp_path)
    (tmp_path / "vapid.pem").chmod(0o644)
    with pytest.raises(KeyFileError, match="can be read by other users"):
        vapid.open_key(tmp_path)


@pytest.mark.parametrize("content", [b"", b"nonsense", ed25519.Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())])  # fmt: skip
def test_a_file_that_is_no_such_key_is_refused(tmp_path, content):
    file = tmp_path / "vapid.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyFileError, match="no P-256 private key"):
        vapid.open_key(tmp_path)


def test_one_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(KeyFileError, match="cannot be used"):
        vapid.open_key(tmp_path / "data")


def test_a_token_is_for_one_origin_with_its_port(tokens):
    for endpoint, audience in (
        ("https://push.example/a/b?c", "https://push.example"),
        ("https://push.example:8443/a", "https://push.example:8443"),
        ("https://[2606:4700::1]:8443/a", "https://[2606:4700::1]:8443"),
    ):
        token, public = (
            part[2:] for part in tokens.authorization(endpoint).removeprefix("vapid ").split(",")
        )
        assert decode(token, public)["aud"] == audience


def test_a_token_is_used_again_until_an_hour_before_its_end(tokens, clock):
    first = tokens.authorization("https://push.example/a")
    clock.now += 11 * 3600 - 1
    assert tokens.authorization("https://push.example/b") == first
    clock.now += 1
    assert tokens.authorization("https://push.example/a") != first


def test_a_clock_that_was_put_back_makes_another(tokens, clock):
    first = tokens.authorization("https://push.example/a")
    clock.now -= 1
    assert tokens.authorization("https://push.example/a") != first


def test_no_more_than_so_many_are_kept(tokens):
    first = tokens.authorization("https://push0.example/")
    for n in range(1, vapid._MOST_TOKENS):
        tokens._headers[f"https://push{n}.example"] = (NOW, "")
    assert tokens.authorization("https://push0.example/") == first
    tokens.authorization("https://one-more.example/")
    assert len(tokens._headers) == vapid._MOST_TOKENS
    assert tokens.authorization("https://push0.example/") != first
