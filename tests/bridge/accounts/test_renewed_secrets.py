"""Secrets that an operator gives to devices, for a broker that keeps them in a file of its own."""

import pytest
from account_fakes import PASSWORD

from pabal.acl import EVERYTHING
from pabal.errors import NotFound, Unauthorized
from pabal.ids import DeviceId, UserId

ALICE, SENSOR = UserId("alice"), DeviceId("sensor")


def test_a_device_that_there_is_not_is_made_with_all_rights(world):
    made = world.accounts.renew_secret(ALICE, SENSOR)
    assert made.allow == EVERYTHING
    assert world.accounts.authenticate_mqtt("alice", made.secret).device == SENSOR
    assert world.accounts.secret_rights(ALICE, SENSOR) == EVERYTHING


def test_a_new_secret_ends_the_one_before_and_keeps_the_rights(world):
    before = world.accounts.add_device(ALICE, PASSWORD, SENSOR, ["send"])
    after = world.accounts.renew_secret(ALICE, SENSOR)
    assert after.allow == frozenset({"send"})
    assert world.accounts.authenticate_mqtt("alice", after.secret)
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_mqtt("alice", before.secret)
    assert ("alice", "sensor", "kicked") in world.kicks()


def test_a_user_that_there_is_not_has_no_devices(world):
    with pytest.raises(NotFound):
        world.accounts.renew_secret(UserId("nobody"), SENSOR)


def test_rights_are_those_of_a_secret_that_is_good(world):
    assert world.accounts.secret_rights(ALICE, SENSOR) is None
    world.accounts.log_in("alice", PASSWORD, "phone")
    assert world.accounts.secret_rights(ALICE, DeviceId("phone")) is None, "it has a login, and no secret"
    world.accounts.renew_secret(ALICE, SENSOR)
    world.accounts.disable(ALICE)
    assert world.accounts.secret_rights(ALICE, SENSOR) is None
