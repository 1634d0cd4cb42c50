import jwt
import pytest
from account_fakes import START
from hypothesis import given
from hypothesis import strategies as st

from bridge.accounts.keys import ACCESS_TTL_S, FILE_NAME, Keyring
from bridge.accounts.tokens import Tokens
from pabal.errors import Unauthorized
from pabal.ids import DeviceId, UserId

ALICE, PHONE = UserId("alice"), DeviceId("phone")


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    return Keyring.open(tmp_path_factory.mktemp("keys") / FILE_NAME, now=START)


@pytest.fixture
def tokens(keyring):
    return Tokens(keyring)


def test_a_token_says_who_which_device_and_which_session(tokens):
    read = tokens.verify(tokens.issue(ALICE, PHONE, "s1", START), START)
    assert (read.user, read.device, read.session_id) == (ALICE, PHONE, "s1")
    assert read.expires_at == START + ACCESS_TTL_S


def test_a_token_has_the_agreed_claims_and_algorithm(tokens, keyring):
    token = tokens.issue(ALICE, PHONE, "s1", START)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {
        "sub": "alice",
        "dev": "phone",
        "sid": "s1",
        "iat": START,
        "exp": START + ACCESS_TTL_S,
        "iss": "pabal",
    }
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": keyring.signing().kid}


def test_a_token_is_good_until_its_last_second_and_not_after(tokens):
    token = tokens.issue(ALICE, PHONE, "s1", START)
    assert tokens.verify(token, START + ACCESS_TTL_S - 1)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.verify(token, START + ACCESS_TTL_S)


def test_a_token_of_the_old_key_is_good_after_a_rotation(tmp_path):
    ring = Keyring.open(tmp_path / FILE_NAME, now=START)
    tokens = Tokens(ring)
    token = tokens.issue(ALICE, PHONE, "s1", START)
    ring.rotate(START)
    assert tokens.verify(token, START + 1).user == ALICE


def test_a_token_of_another_server_is_refused(tokens, tmp_path):
    stranger = Tokens(Keyring.open(tmp_path / FILE_NAME, now=START))
    with pytest.raises(Unauthorized):
        tokens.verify(stranger.issue(ALICE, PHONE, "s1", START), START)


def signed(keyring, claims, headers=None, key=None, algorithm="EdDSA"):
    ours = keyring.signing()
    base = {"sub": "alice", "dev": "phone", "sid": "s", "iat": 1, "exp": int(START) + 9, "iss": "pabal"}
    content = {name: value for name, value in {**base, **claims}.items() if value is not None}
    return jwt.encode(
        content, key or ours.private, algorithm=algorithm, headers={"kid": ours.kid, **(headers or {})}
    )


def test_the_hand_made_token_of_these_tests_is_good_when_nothing_is_wrong(tokens, keyring):
    assert tokens.verify(signed(keyring, {}), START)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"iss": None},
        {"exp": None},
        {"sub": None},
        {"sub": "No Name"},
        {"dev": "a/b"},
        {"dev": None},
        {"sid": 5},
        {"sid": None},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused_though_we_signed_it(tokens, keyring, claims):
    with pytest.raises(Unauthorized):
        tokens.verify(signed(keyring, claims), START)


@pytest.mark.parametrize("kid", ["unknown", "../keys"])
def test_a_token_of_an_unknown_key_is_refused(tokens, keyring, kid):
    with pytest.raises(Unauthorized):
        tokens.verify(signed(keyring, {}, {"kid": kid}), START)


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(tokens, keyring):
    public = keyring.signing().private.public_key().public_bytes_raw()
    with pytest.raises(Unauthorized):
        tokens.verify(signed(keyring, {}, key=public, algorithm="HS256"), START)


def test_a_token_without_a_signature_is_refused(tokens, keyring):
    head, content, _ = signed(keyring, {}).split(".")
    with pytest.raises(Unauthorized):
        tokens.verify(f"{head}.{content}.", START)


def test_a_token_that_is_far_too_long_is_refused_unread(tokens, keyring):
    with pytest.raises(Unauthorized):
        tokens.verify(signed(keyring, {"more": "x" * 5000}), START)


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_makes_verifying_raise_anything_else(keyring, text):
    with pytest.raises(Unauthorized):
        Tokens(keyring).verify(text, START)
