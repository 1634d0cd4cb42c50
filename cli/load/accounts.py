"""People to send as, made straight on the database that a server is using."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bridge.accounts.service import Accounts
from cli.load.wire import Person
from pabal.errors import Conflict, NotFound
from pabal.ids import DeviceId, UserId, parse_device, parse_user

DEVICE = parse_device("bench")


@contextmanager
def people(accounts: Accounts, count: int) -> Iterator[list[Person]]:
    """bench-0001, bench-0002, … with a device each, whose secret is good until the block ends. The accounts stay for
    the next time; nobody knows their passwords.

    Raises: errors.Unavailable if the database cannot be used.
    """
    users = [parse_user(f"bench-{number:04}") for number in range(1, count + 1)]
    try:
        yield [_person(accounts, user) for user in users]
    finally:
        for user in users:
            _without_device(accounts, user, DEVICE)


def _person(accounts: Accounts, user: UserId) -> Person:
    password = secrets.token_urlsafe(32)
    try:
        accounts.sign_up(user, password)
    except Conflict:
        accounts.set_password(user, password)
        _without_device(accounts, user, DEVICE)
    return Person(user, DEVICE, accounts.add_device(user, password, DEVICE).secret)


def _without_device(accounts: Accounts, user: UserId, device: DeviceId) -> None:
    with suppress(NotFound):
        accounts.delete_device(user, device)
