"""Accounts with a device secret each, written straight into the database: signing up is not what is measured."""

import secrets
import time
from hashlib import sha256

from bridge.store import schema
from bridge.store.engine import open_engine
from bridge.store.tables import account, device
from cli.load.wire import Person

DEVICE = "bench"
_AT_ONCE = 1000


def name(number: int) -> str:
    return f"u{number:05}"


def make(url: str, count: int) -> list[Person]:
    """People u00000, u00001, … of a database, which is made if need be."""
    engine = open_engine(url, bounded=False)
    schema.upgrade(engine)
    people = [Person(name(n), DEVICE, "pds_" + secrets.token_urlsafe(32)) for n in range(count)]
    now = time.time_ns() // 1_000_000
    with engine.begin() as connection:
        for first in range(0, count, _AT_ONCE):
            some = people[first : first + _AT_ONCE]
            connection.execute(
                account.insert(),
                [{"user_id": p.user, "state": "active", "admin": False, "created_ts": now} for p in some],
            )
            connection.execute(
                device.insert(),
                [
                    {
                        "user_id": p.user, "device_id": p.device, "cursor": 0,
                        "secret_hash": sha256(p.secret.encode()).digest(), "allow": "receive send",
                        "created_ts": now,
                    }
                    for p in some
                ],
            )  # fmt: skip
    engine.dispose()
    return people
