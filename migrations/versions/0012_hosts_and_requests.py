"""The hosts of push subscriptions that were made before there was a column for it, so that these have their share of
what is under way, too; and where requests to be contacts are shown.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Subscriptions that are held in memory at once.
_BATCH = 1_000
# Of the column.
_LONGEST = 300

_subscription = sa.table(
    "push_subscription", sa.column("user_id"), sa.column("device_id"), sa.column("target"), sa.column("host")
)


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _fill_hosts()
    op.create_table(
        "push_asked",
        sa.Column("user_id", _name(32), nullable=False),
        sa.Column("device_id", _name(32), nullable=False),
        sa.Column("conv_id", _name(65), nullable=False, comment="of the user and who asks to be a contact"),
        sa.Column(
            "seq",
            sa.BigInteger(),
            nullable=False,
            comment="of the update that says so, the newest that may be seen there now",
        ),
        sa.PrimaryKeyConstraint("user_id", "device_id", "conv_id", name=op.f("pk_push_asked")),
        sqlite_with_rowid=False,
    )


def _fill_hosts() -> None:
    """Looks at each subscription once, by its key, and writes only where there is no host: it may be run again."""
    columns = _subscription.c
    whose = sa.tuple_(columns.user_id, columns.device_id)
    asked = (
        sa.select(columns.user_id, columns.device_id, columns.target)
        .where(columns.host == "")
        .order_by(columns.user_id, columns.device_id)
        .limit(_BATCH)
    )
    found = op.get_bind().execute(asked).all()
    while found:
        _fill(found)
        last = found[-1]
        found = op.get_bind().execute(asked.where(whose > sa.tuple_(last.user_id, last.device_id))).all()


def _fill(found: Sequence[Any]) -> None:
    hosts = [
        {"user": user, "device": device, "host_of": host}
        for user, device, target in found
        if (host := _host(target))
    ]
    if hosts:
        columns = _subscription.c
        op.get_bind().execute(
            sa.update(_subscription)
            .where(columns.user_id == sa.bindparam("user"), columns.device_id == sa.bindparam("device"))
            .values(host=sa.bindparam("host_of")),
            hosts,
        )


def _host(target: str) -> str:
    """As `push.set` finds it now. Empty where a target has none, or is not one that this server would have taken: that
    is no reason to stop.
    """
    try:
        kept = json.loads(target)
        if not isinstance(kept, dict):
            return ""
        host = urlsplit(str(kept.get("endpoint") or kept.get("url") or "")).netloc.lower()
    except (ValueError, RecursionError):
        return ""
    return host if host.isascii() and host.isprintable() and len(host) <= _LONGEST else ""


def downgrade() -> None:
    """The hosts that were filled in are true without this migration, too."""
    op.drop_table("push_asked")
