"""`pabal serve`: everything in one go."""

from cli import logs, output
from cli import serve as root
from cli.flags import Flags, with_settings

EPILOG = (
    "Each flag is also an environment variable (--log-level is PABAL_LOG_LEVEL) and a key of the TOML file "
    "(log_level). A flag goes before the environment, and that before the file."
)


@with_settings()
def serve(flags: Flags) -> None:
    """Run the server.

    MQTT over TCP and WebSocket, the REST API, and the database behind them. Everything has a default, so that `pabal serve` alone is enough. SIGTERM or Ctrl-C stops it.
    """
    loaded = flags.load()
    for warning in loaded.warnings:
        output.warning(warning)
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)
    root.run(loaded.settings)
