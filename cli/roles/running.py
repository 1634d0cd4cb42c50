"""How every role runs: until it is told to stop, with what stops it before told in one line."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bridge.accounts.key_errors import KeyFileError
from bridge.store.unusable import NotAdmitted, UnusableDatabase
from cli import loop
from cli.errors import CliError, SettingsError

logger = logging.getLogger("pabal.serve")

# How long a busy loop may keep the committer's thread waiting.
SWITCH_INTERVAL_S = 0.0005

# From being told to stop to the end, whatever hangs: less than the 30 s after which containers are killed. Whatever drains
# has a bound of its own, of 20 s at most.
END_S = 25.0

# A role gets a stack for what is closed after its event loop, and the event that says that it is to stop.
Role = Callable[[contextlib.ExitStack, asyncio.Event], Coroutine[Any, Any, None]]


def run(role: Role) -> None:
    """Run a role in an event loop until it returns. SIGTERM and Ctrl-C set its event.

    Told to stop it ends within `END_S`, also where a database does not answer any more.

    Raises: CliError, in one line, for what stops the start (before anything listens), and for what ends a role that
    was not told to stop; SettingsError where a setting is to blame.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with contextlib.ExitStack() as stack:
            loop.run(_with_signals(role, stack))
    except NotAdmitted as error:
        raise SettingsError(f"{error.detail}; {error.hint}") from error
    except (UnusableDatabase, KeyFileError) as error:
        # In a log among others a hint on a line of its own would be lost.
        raise CliError(f"{error.detail}; {error.hint}") from error
    logger.info("stopped")


async def _with_signals(role: Role, stack: contextlib.ExitStack) -> None:
    stop = loop.stop_signals()
    bound = asyncio.ensure_future(_bound(stop))
    try:
        await role(stack, stop)
    finally:
        bound.cancel()
        await asyncio.gather(bound, return_exceptions=True)


async def _bound(stop: asyncio.Event) -> None:
    """A thread that waits for a database which does not answer cannot be ended, only left behind."""
    await stop.wait()
    timer = threading.Timer(END_S, _end)
    timer.daemon = True  # it ends with the process, which is what it waits for
    timer.start()


def _end() -> None:
    logger.warning(
        "something did not answer for %g s and is left behind; whatever was acknowledged is stored", END_S
    )
    logging.shutdown()
    os._exit(0)


async def until_stopped(stop: asyncio.Event, *ends: Awaitable[Any]) -> None:
    """Returns when told to stop. `ends` are what may end the role before that: they raise why, and are cancelled.

    Raises: what the first of them raises.
    """
    asked = asyncio.ensure_future(stop.wait())
    others = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait([asked, *others], return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            for other in others:
                if other.done():
                    other.result()
    finally:
        for task in (asked, *others):
            task.cancel()
        await asyncio.gather(asked, *others, return_exceptions=True)
    logger.info("stopping")
