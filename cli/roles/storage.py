"""The database as the roles use it: brought to this version's schema, its accounts, and the bridge over it."""

import asyncio
import contextlib
import logging
import os

from bridge.accounts.service import Accounts
from bridge.backplane.plane import Plane
from bridge.build import Bridge
from bridge.push.making import PushTimes
from bridge.push_commands import PushTargets
from bridge.store.faults import NO_FAULTS, Armed, Faults
from bridge.store.lease import Lease
from bridge.store.retention import Retention
from bridge.tracing import NO_TRACING, Tracing
from cli import database
from cli.errors import CliError, SettingsError
from cli.settings import Settings
from pabal.ratelimit import RateLimiter

logger = logging.getLogger("pabal.serve")


def make_current(settings: Settings) -> None:
    """SQLite is made, or looked over and brought to this version's schema; PostgreSQL is never changed by itself.

    Raises: SettingsError, UnusableDatabase.
    """
    if not settings.is_sqlite:
        return
    known = settings.database_file.exists()
    if known:
        database.look_over(settings)
    if database.upgrade(settings) and known:
        logger.info("the database %s was upgraded to this version's schema", settings.database_file)


def open_accounts(settings: Settings, stack: contextlib.ExitStack) -> Accounts:
    """Raises: SchemaError, SettingsError, KeyFileError."""
    accounts = stack.enter_context(database.accounts(settings, settings.account_connections))
    tell_of_limits(settings)
    return accounts


def tell_of_limits(settings: Settings) -> None:
    if not settings.rate_limits:
        logger.warning("rate limits are off (PABAL_RATE_LIMITS=off): anybody may send any amount")


def make_bridge(
    settings: Settings,
    lease: Lease,
    plane: Plane,
    tracing: Tracing = NO_TRACING,
    push_targets: PushTargets | None = None,
) -> Bridge:
    """Not yet started. From here on no other server can commit.

    Raises: SchemaError; Unavailable; SettingsError for faults that cannot be read.
    """
    return Bridge(
        settings.url,
        limiter=_limiter(settings),
        lease=lease,
        witness=settings.witness,
        retention=Retention(
            settings.inbox_keep_updates,
            settings.inbox_keep_days,
            settings.audit_keep_days,
            settings.push_keep_days,
        ),
        push=PushTimes(settings.push_wait_seconds * 1000, settings.push_ttl_seconds * 1000),
        small_limit=settings.small_group_limit,
        max_members=settings.max_group_members,
        recall_window_s=settings.recall_seconds,
        readers=settings.reader_connections,
        faults=_faults(),
        tracing=tracing,
        bell=plane.bell,
        mirror=plane.mirror,
        push_targets=push_targets,
    )


def act_on_changes(bridge: Bridge, plane: Plane) -> None:
    """As soon as somebody rings; the bridge was started, in this event loop, and the plane is stopped before it ends."""
    event_loop = asyncio.get_running_loop()

    def rung() -> None:
        event_loop.call_soon_threadsafe(bridge.look_for_changes)

    plane.hear(changes=rung)


async def lost(bridge: Bridge) -> None:
    """Ends when another server has taken the database over. Raises: CliError, always then."""
    await bridge.lost()
    raise CliError(
        "another server has taken the database over while this one was stopped or cut off",
        "start it again: it stands by until the other is gone",
    )


def _limiter(settings: Settings) -> RateLimiter | None:
    return RateLimiter(settings.request_rate, settings.request_burst) if settings.rate_limits else None


def _faults() -> Faults:
    """What the fault laboratory asked for; no setting, so that no configuration file can carry it.

    Raises: SettingsError if it cannot be read.
    """
    specification = os.environ.get("PABAL_FAULTS")
    if not specification:
        return NO_FAULTS
    try:
        armed = Armed(specification)
    except ValueError as error:
        raise SettingsError(f"PABAL_FAULTS: {error}") from None
    logger.warning(
        "armed for the fault laboratory (PABAL_FAULTS=%s): this server breaks on purpose", specification
    )
    return armed
