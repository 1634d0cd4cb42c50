"""`pabal push`: pushes from a process of their own."""

from cli import logs, output, push_role
from cli.flags import PUSH, Flags, with_settings

SETTINGS = (
    "data",
    "database_url",
    "database_url_file",
    "redis_url",
    "redis_url_file",
    "metrics",
    *PUSH,
    "log_level",
    "log_format",
)


@with_settings(*SETTINGS)
def push(flags: Flags) -> None:
    """Send pushes, beside a server.

    Any number of them share the work of one database; a server with --push=off leaves it all to them. They need its data folder, or a copy of its vapid.pem.
    """
    loaded = flags.load(("metrics",))
    for warning in loaded.warnings:
        output.warning(warning)
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)
    push_role.run(loaded.settings)
