"""Who commits: a role that does waits here until the database is its own."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bridge.store.lease import AGAIN_EVERY_S, Lease, NullLease, PostgresLease
from cli import database, folder
from cli.errors import CliError
from cli.settings import Settings
from pabal.errors import Unavailable

logger = logging.getLogger("pabal.serve")

# What an unclean end has left behind goes within this time.
PATIENCE_S = 3.0


class Held(NamedTuple):
    """`patience_s` is how long what the server before has left may keep the ports that are ours now."""

    lease: Lease
    patience_s: float


async def hold(
    settings: Settings,
    stack: contextlib.ExitStack,
    stop: asyncio.Event,
    stands_by: Callable[[], Awaitable[None]],
) -> Held | None:
    """From here on nobody else commits to this database. On SQLite who comes second is refused; on PostgreSQL it
    waits until the first is gone, and `stands_by` is awaited once before. Returns None when told to stop meanwhile.

    Raises: SettingsError, CliError if the folder cannot be used or another server has it; UnusableDatabase if the
    database or its schema cannot be used now.
    """
    if settings.is_sqlite:
        lock = stack.enter_context(database.held(settings))
        return Held(NullLease(), PATIENCE_S if lock.unclean else 0.0)
    lease = await _hold(settings, stack, stop, stands_by)
    if lease is None:
        return None
    with contextlib.suppress(CliError):
        # Only for people and `pabal doctor`: who may commit is for the lease to say.
        stack.enter_context(folder.Lock(settings.data / folder.LOCK_FILE))
    # The server before may have been on this machine, and have had these ports.
    return Held(lease, PATIENCE_S)


async def _hold(
    settings: Settings,
    stack: contextlib.ExitStack,
    stop: asyncio.Event,
    stands_by: Callable[[], Awaitable[None]],
) -> PostgresLease | None:
    folder.prepare(settings.data)
    database.require_current(settings)
    lease = PostgresLease(settings.url)
    stack.callback(lease.release)
    told = False
    while not stop.is_set():
        try:
            if await asyncio.to_thread(lease.acquire):
                if told:
                    logger.warning("the other server is gone; this one takes over")
                return lease
            why = "another server holds the database; standing by"
        except Unavailable as error:
            why = f"standing by: {error}"
        if not told:
            logger.warning("%s", why)
            await stands_by()
        told = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_EVERY_S):
                await stop.wait()
    return None
