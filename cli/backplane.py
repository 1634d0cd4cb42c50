"""Redis of these settings, for the roles; everything works without it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.backplane.admission import look_at
from bridge.backplane.client import NotInstalledError
from bridge.backplane.plane import NullPlane, Plane, RedisPlane
from cli.errors import CliError, SettingsError
from cli.settings import Settings

logger = logging.getLogger("pabal.redis")


def check(settings: Settings) -> None:
    """Look once, before anything is started. One that is not there yet may come later, and is only told of.

    Raises: SettingsError if the setting is wrong; CliError if it refuses what is needed.
    """
    if settings.redis is None:
        return
    trouble = look_at(settings.redis).trouble
    if trouble is None:
        return
    told = f"Redis at {settings.redis} {trouble.detail}"
    if not trouble.lasting:
        logger.warning("%s; going on without it until it does", told)
    elif trouble.misnamed:
        raise SettingsError(f"redis_url: {told}; {trouble.hint}")
    else:
        # In a log among others a hint on a line of its own would be lost.
        raise CliError(f"{told}; {trouble.hint}")


@contextmanager
def plane(settings: Settings) -> Iterator[Plane]:
    """Raises: CliError if what talks to Redis is not installed."""
    made = open_plane(settings)
    try:
        yield made
    finally:
        made.stop()


def open_plane(settings: Settings) -> Plane:
    """To be stopped by the caller. Raises: CliError if what talks to Redis is not installed."""
    if settings.redis is None:
        return NullPlane()
    try:
        return RedisPlane(settings.redis)
    except NotInstalledError as error:
        raise CliError("redis_url needs redis-py", "pip install 'pabal[redis]'") from error
