"""Whether a device that came in through another broker may still do anything."""

import pytest
from account_fakes import PASSWORD

from bridge.accounts.authenticator import AccountAuthenticator
from bridge.accounts.failures import FailedLogins
from pabal.acl import EVERYTHING
from pabal.errors import Unauthorized
from pabal.ids import DeviceId, UserId

ALICE, PHONE = UserId("alice"), DeviceId("phone")


def test_who_is_logged_in_stands_until_the_logout(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    login = world.accounts.standing(ALICE, PHONE)
    assert (login.user, login.device, login.allow) == ("alice", "phone", EVERYTHING)
    world.accounts.log_out(world.accounts.authenticate_bearer(session.access_token))
    with pytest.raises(Unauthorized):
        world.accounts.standing(ALICE, PHONE)


def test_a_device_with_a_secret_stands_with_the_rights_it_was_given(world):
    world.accounts.add_device(ALICE, PASSWORD, "sensor", ["send"])
    assert world.accounts.standing(ALICE, DeviceId("sensor")).allow == frozenset({"send"})


def test_a_device_that_there_never_was_does_not_stand(world):
    world.accounts.log_in("alice", PASSWORD, "phone")
    with pytest.raises(Unauthorized):
        world.accounts.standing(ALICE, DeviceId("tablet"))


def test_nobody_stands_whose_account_is_disabled(world):
    world.accounts.log_in("alice", PASSWORD, "phone")
    assert world.accounts.standing(ALICE, PHONE)
    world.accounts.disable(ALICE)
    with pytest.raises(Unauthorized):
        world.accounts.standing(ALICE, PHONE)


async def test_the_event_loop_asks_without_waiting_for_the_database(world):
    world.accounts.log_in("alice", PASSWORD, "phone")
    asked = AccountAuthenticator(world.accounts, FailedLogins())
    assert (await asked.standing(ALICE, PHONE)).device == "phone"
    assert await asked.devices_of(ALICE) == ["phone"]
    with pytest.raises(Unauthorized):
        await asked.standing(ALICE, DeviceId("tablet"))
    asked.close()
