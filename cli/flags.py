"""Flags made from the settings, so that there is one list of them and not two."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from cli import configuration
from cli.settings import Settings

DATABASE = ("data", "database_url")
_METAVAR = {
    "data": "DIR",
    "access_token_seconds": "SECONDS",
    "mqtt": "HOST:PORT",
    "ws": "HOST:PORT",
    "http": "HOST:PORT",
    "mqtts": "HOST:PORT",
    "wss": "HOST:PORT",
    "tls_cert": "FILE",
    "tls_key": "FILE",
    "tls_client_ca": "FILE",
    "metrics": "HOST:PORT|off",
    "ws_origins": "URL,URL",
    "public_mqtt": "URL",
    "public_ws": "URL",
    "database_url": "URL",
    "redis_url": "URL",
    "rate_limits": "on|off",
    "cors_origins": "URL,URL",
    "push": "embedded|off",
    "push_private_endpoints": "HOST,HOST",
    "push_ca": "FILE",
    "push_webhook_secret": "SECRET",
    "vapid_subject": "URL",
    "fcm_service_account": "FILE",
    "fcm_url": "URL",
    "fcm_token_url": "URL",
    "apns_key": "FILE",
    "apns_key_id": "ID",
    "apns_team_id": "ID",
    "apns_topic": "ID",
    "apns_url": "URL",
    "log_level": "LEVEL",
    "log_format": "text|json",
    "plugins": "JSON",
}


class Flags(NamedTuple):
    """What was given on the command line; None where it was not."""

    config: str | None
    given: dict[str, str | None]

    def load(self) -> configuration.Loaded:
        """Raises: SettingsError for the first wrong setting."""
        return configuration.load(self.given, self.config)


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config` and a flag for each of these settings (none named: all of them).

    The command takes a first argument, `Flags`. Values stay text here: `cli.configuration` checks them, so that a
    wrong value is told in the same words wherever it came from.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**arguments: Any) -> None:
            config = arguments.pop("config")
            given = {name: arguments.pop(name) for name in chosen}
            command(Flags(config, given), **arguments)

        chosen = names or tuple(Settings.model_fields)
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        parameters = [*own, *(_parameter(name) for name in chosen), _CONFIG]
        signature = inspect.Signature(parameters)
        # How a signature is told to inspect.
        vars(run)["__signature__"] = signature
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    default = field.default
    shown = (
        {True: "on", False: "off"}.get(default, str(default)) if isinstance(default, bool) else str(default)
    )
    help_ = str(field.description)
    if default not in (None, [], {}):
        help_ += f" [{shown}]"
    option = typer.Option(configuration.flag(name), metavar=_METAVAR.get(name, "N"), help=help_)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


_CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="TOML file of settings (PABAL_CONFIG).")
    ],
)
