"""What is pushed to a device ends with the login there: a lost phone shows nothing on its lock screen."""

import pytest
from account_fakes import PASSWORD
from sqlalchemy import text

from pabal.ids import DeviceId, UserId

ALICE = UserId("alice")


@pytest.fixture
def login(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    for device in ("phone", "sensor"):
        _write(
            world,
            "INSERT INTO push_subscription (user_id, device_id, service, target, preview, lang, subscribed_ts)"
            f" VALUES ('alice', '{device}', 'stdout', '{{}}', 'full', 'ko', 0)",
        )
    return world.accounts.authenticate_bearer(session.access_token)


def _write(world, statement: str) -> None:
    with world.store.writing() as tx:
        tx._connection.execute(text(statement))


def subscribed(world) -> list[str]:
    with world.store.reading() as tx:
        asked = text("SELECT device_id FROM push_subscription ORDER BY device_id")
        return list(tx._connection.execute(asked).scalars())


def test_logging_out_ends_it(world, login):
    world.accounts.log_out(login)
    assert subscribed(world) == ["sensor"]


@pytest.mark.usefixtures("login")
def test_a_new_password_ends_it_where_it_logs_out(world):
    world.accounts.set_password(ALICE, "another horse")
    assert subscribed(world) == ["sensor"]


def test_a_device_that_has_a_secret_too_goes_on(world, login):
    world.accounts.add_device(ALICE, PASSWORD, "phone")
    world.accounts.log_out(login)
    assert subscribed(world) == ["phone", "sensor"]


@pytest.mark.usefixtures("login")
def test_a_new_login_on_the_device_leaves_it(world):
    world.accounts.log_in("alice", PASSWORD, "phone")
    assert subscribed(world) == ["phone", "sensor"]


@pytest.mark.usefixtures("login")
def test_it_goes_with_the_device(world):
    world.accounts.delete_device(ALICE, DeviceId("phone"))
    assert subscribed(world) == ["sensor"]


@pytest.mark.usefixtures("login")
def test_it_goes_with_the_account(world):
    world.accounts.delete(ALICE)
    assert subscribed(world) == []
