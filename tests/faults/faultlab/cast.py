"""Who takes part, and what each of them talks to. Made directly in the database: signing up is not what is tested."""

import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256

from bridge.store import schema
from bridge.store.engine import open_engine
from bridge.store.tables import account, device

OBSERVER = "watch"
# Stands for the group that stays as it is, whose id is known once it was made.
GROUP = "@group"


@dataclass(frozen=True)
class Role:
    """One device. `kind` is sdk, plain, twin, sensor or rest; `receives`: its log is held against its inbox."""

    user: str
    device: str
    kind: str
    peers: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.user}:{self.device}"

    @property
    def receives(self) -> bool:
        return self.kind in {"sdk", "plain", "rest"}


ROLES = (
    Role("ann", "phone", "sdk", ("ben", "cat", "ann", GROUP)),
    Role("ann", "pager", "plain", ("ben", "cat", GROUP)),
    Role("ann", "twin", "twin", ("ben", GROUP)),
    Role("ben", "phone", "sdk", ("ann", "cat", GROUP)),
    Role("ben", "desk", "rest", ("ann", "cat", GROUP)),
    Role("cat", "laptop", "sdk", ("ann", "ben", GROUP)),
    Role("cat", "pager", "plain", ("ann", "ben", GROUP)),
    Role("cat", "sensor", "sensor", ("ben", GROUP)),
    Role("dan", "pager", "plain", ("ann", "ben")),
    Role("eve", "desk", "rest", ("ann", "cat")),
)
# Members without a device, so that groups can grow; they have an inbox like everybody else.
EXTRAS = ("fay", "gus", "hal")


@dataclass(frozen=True)
class Cast:
    """The roles and their secrets, by `user:device`; one observer a user reads the end over HTTP."""

    roles: tuple[Role, ...] = ROLES
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def users(self) -> list[str]:
        return sorted({name.split(":")[0] for name in self.secrets})

    @property
    def grouped(self) -> list[str]:
        """Whoever is in the group that stays as it is."""
        return sorted({role.user for role in self.roles if GROUP in role.peers})


def enroll(url: str, roles: tuple[Role, ...] = ROLES) -> Cast:
    """Make the schema, the accounts and the devices."""
    users = sorted({*(role.user for role in roles), *EXTRAS})
    names = [role.name for role in roles] + [f"{user}:{OBSERVER}" for user in users]
    cast = Cast(roles, {name: "pds_" + secrets.token_urlsafe(32) for name in names})
    engine = open_engine(url)
    schema.upgrade(engine)
    now = time.time_ns() // 1_000_000
    with engine.begin() as connection:
        connection.execute(
            account.insert(),
            [{"user_id": user, "state": "active", "admin": False, "created_ts": now} for user in cast.users],
        )
        connection.execute(
            device.insert(),
            [
                {
                    "user_id": name.split(":")[0],
                    "device_id": name.split(":")[1],
                    "cursor": 0,
                    "secret_hash": sha256(secret.encode()).digest(),
                    "allow": "receive send",
                    "created_ts": now,
                }
                for name, secret in cast.secrets.items()
            ],
        )
    engine.dispose()
    return cast
