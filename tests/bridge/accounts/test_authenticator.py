import asyncio
import threading

import pytest
from account_fakes import PASSWORD, FakeClock

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from bridge.backplane.buckets import counting_here
from pabal.errors import RateLimited, Unauthorized, Unavailable
from pabal.ids import UserId

HERE = "192.0.2.1"


@pytest.fixture
def secret(world):
    return world.accounts.add_device(UserId("alice"), PASSWORD, "sensor").secret


@pytest.fixture
def clock():
    return FakeClock(0.0)


@pytest.fixture
def authenticator(world, clock):
    made = AccountAuthenticator(world.accounts, FailedLogins(counting=counting_here(clock)))
    yield made
    made.close()


async def fail(authenticator, times, user="alice", address=HERE):
    for _ in range(times):
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(user, "wrong", address)


async def test_a_good_credential_is_answered_with_its_device(authenticator, secret):
    login = await authenticator.authenticate("alice", secret, HERE)
    assert (login.user, login.device) == ("alice", "sensor")


async def test_a_wrong_credential_is_refused(authenticator):
    await fail(authenticator, 1)


@pytest.mark.parametrize("kind", ["secret", "token"])
async def test_after_ten_failures_a_bad_credential_waits_and_a_good_one_does_not(
    world, authenticator, secret, clock, kind
):
    good = secret if kind == "secret" else world.accounts.log_in("alice", PASSWORD, "phone").access_token
    await fail(authenticator, 10)
    with pytest.raises(RateLimited) as refused:
        await authenticator.authenticate("alice", "wrong", HERE)
    assert await authenticator.authenticate("alice", good, HERE)
    with pytest.raises(RateLimited):
        await authenticator.authenticate("alice", "wrong", HERE)
    clock.advance(refused.value.retry_after)
    await fail(authenticator, 1)


async def test_failures_of_one_address_do_not_lock_the_user_out_elsewhere(authenticator, secret):
    await fail(authenticator, 10)
    assert await authenticator.authenticate("alice", secret, "192.0.2.2")
    await fail(authenticator, 1, user="bob")


async def test_good_logins_are_not_counted(authenticator, secret):
    for _ in range(30):
        assert await authenticator.authenticate("alice", secret, HERE)


async def test_without_rate_limits_failures_are_not_counted(world, secret):
    authenticator = AccountAuthenticator(world.accounts, FailedLogins(enabled=False))
    await fail(authenticator, 15)
    assert await authenticator.authenticate("alice", secret, HERE)
    authenticator.close()


class Held:
    """Accounts whose answer is held back until the test lets go."""

    def __init__(self):
        self.let_go = threading.Event()
        self.begun = threading.Semaphore(0)

    def authenticate_mqtt(self, username, _password):
        self.begun.release()
        assert self.let_go.wait(60)
        raise Unauthorized(username)

    def note_failure(self, user, origin):
        pass


async def test_beyond_its_bound_the_next_is_told_to_come_back():
    held = Held()
    authenticator = AccountAuthenticator(held, FailedLogins(enabled=False), threads=1, max_pending=2)
    asked = [asyncio.ensure_future(authenticator.authenticate("alice", "x", HERE)) for _ in range(2)]
    await asyncio.get_running_loop().run_in_executor(None, held.begun.acquire)
    with pytest.raises(Unavailable):
        await authenticator.authenticate("alice", "x", HERE)
    held.let_go.set()
    assert all(isinstance(one, Unauthorized) for one in await asyncio.gather(*asked, return_exceptions=True))
    with pytest.raises(Unauthorized):
        await authenticator.authenticate("alice", "x", HERE)
    authenticator.close()


async def test_who_goes_away_is_counted_until_the_check_is_done():
    held = Held()
    authenticator = AccountAuthenticator(held, FailedLogins(enabled=False), threads=1, max_pending=1)
    gone = asyncio.ensure_future(authenticator.authenticate("alice", "x", HERE))
    await asyncio.get_running_loop().run_in_executor(None, held.begun.acquire)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(Unavailable):
        await authenticator.authenticate("alice", "x", HERE)
    held.let_go.set()
    async with asyncio.timeout(60):
        while authenticator._pending:
            await asyncio.sleep(0.01)
    authenticator.close()


def test_attempts_under_way_count_until_they_are_found_good():
    failures = FailedLogins(per_minute=1, counting=counting_here(FakeClock(0.0)))
    with failures.attempt("alice", HERE), pytest.raises(RateLimited), failures.attempt("alice", HERE):
        pass
    with failures.attempt("alice", HERE):
        pass


def test_an_attempt_that_was_never_judged_is_given_back():
    failures = FailedLogins(per_minute=1, counting=counting_here(FakeClock(0.0)))
    for _ in range(3):
        with pytest.raises(Unavailable), failures.attempt("alice", HERE):
            raise Unavailable("busy")
