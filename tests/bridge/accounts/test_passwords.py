import threading
import unicodedata

import pytest
from account_fakes import cheap_passwords

from bridge.accounts.passwords import Passwords
from pabal.errors import BadRequest, Unavailable


@pytest.fixture(scope="module")
def passwords():
    return cheap_passwords()


def test_the_right_password_is_recognised_and_a_wrong_one_is_not(passwords):
    stored = passwords.hash("correct horse")
    assert passwords.verify(stored, "correct horse")
    assert not passwords.verify(stored, "correct horsf")


def test_two_hashes_of_one_password_differ(passwords):
    assert passwords.hash("correct horse") != passwords.hash("correct horse")


def test_the_default_cost_is_the_agreed_one():
    assert "$m=19456,t=2,p=1$" in Passwords().hash("correct horse")


def test_a_hash_of_another_cost_is_outdated(passwords):
    stronger = cheap_passwords(time_cost=2)
    stored = passwords.hash("correct horse")
    assert stronger.is_outdated(stored)
    assert not passwords.is_outdated(stored)


def test_composed_and_decomposed_hangul_are_the_same_password(passwords):
    typed = "파발파발파발파발"
    stored = passwords.hash(unicodedata.normalize("NFD", typed))
    assert passwords.verify(stored, unicodedata.normalize("NFC", typed))


def test_a_long_decomposed_password_counts_its_composed_characters(passwords):
    decomposed = unicodedata.normalize("NFD", "발" * 256)
    assert passwords.verify(passwords.hash(decomposed), "발" * 256)


@pytest.mark.parametrize("password", ["x" * 8, "x" * 256])
def test_a_password_at_a_bound_of_its_length_is_taken(passwords, password):
    assert passwords.verify(passwords.hash(password), password)


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * 257, "x" * 100_000, "lone \ud800 surrogate"])
def test_a_password_that_cannot_be_is_refused_when_new_and_is_never_right(passwords, password):
    with pytest.raises(BadRequest, match="password"):
        passwords.hash(password)
    assert not passwords.verify(passwords.hash("correct horse"), password)


def test_nobody_has_a_password(passwords):
    assert not passwords.verify(None, "correct horse")
    assert not passwords.verify(None, "nobody's password")


def test_a_stored_hash_that_is_none_is_never_right(passwords):
    assert not passwords.verify("not a hash", "correct horse")


def test_beyond_the_line_of_waiters_the_next_is_told_to_come_back():
    passwords = cheap_passwords(parallel=1, waiting=1)
    with passwords._in_turn():
        waiting = threading.Thread(target=passwords.hash, args=("correct horse",))
        waiting.start()
        deadline = threading.Event()
        while passwords._room > 0:
            assert not deadline.wait(0.01)
        with pytest.raises(Unavailable) as refused:
            passwords.hash("correct horse")
        assert refused.value.retry_after is not None
    waiting.join()
    assert passwords.verify(passwords.hash("correct horse"), "correct horse")


def test_who_waits_too_long_is_told_to_come_back(monkeypatch):
    monkeypatch.setattr("bridge.accounts.passwords._WAIT_S", 0.01)
    passwords = cheap_passwords(parallel=1, waiting=5)
    with passwords._in_turn(), pytest.raises(Unavailable):
        passwords.hash("correct horse")
    assert passwords.hash("correct horse")
