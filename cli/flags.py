"""Flags made from the settings, so that there is one list of them and not two."""

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, NamedTuple

import typer

from cli import configuration
from cli.settings import Settings

DATABASE = ("data", "database_url", "database_url_file")
KEYS = ("keys_file", "access_token_seconds")
# What push services are made from.
PUSH = (
    "push_private_endpoints", "push_ca", "push_webhook_secret", "push_webhook_secret_file", "vapid_key_file",
    "vapid_subject", "fcm_service_account", "fcm_url", "fcm_token_url", "apns_key", "apns_key_id", "apns_team_id",
    "apns_topic", "apns_url",
)  # fmt: skip
# What only some of the roles have to do with.
_OF_WEBAPI = frozenset(
    {
        "http", "relay", "relay_ca", "web_metrics", "service_name", "mqtt_hook_secret", "mqtt_hook_secret_file",
        "signups_per_hour", "refresh_token_days",
        "cors_origins", "web_threads", "web_waits", "web_connections", "proxies",
    }
)  # fmt: skip
WEBAPI = (
    "data", "http", "web_metrics", "relay", "relay_ca", "service_secret", "service_secret_file", "service_name",
    "mqtt_url", "mqtt_url_file", "mqtt_client_id", "mqtt_hook_secret", "mqtt_hook_secret_file", "keys_file",
    "database_url", "database_url_file", "redis_url", "redis_url_file", "public_mqtt", "public_ws",
    "push", "vapid_key_file", "fcm_service_account", "apns_key", "apns_key_id", "apns_team_id", "apns_topic",
    "rate_limits", "request_rate", "request_burst", "login_failures_per_minute", "signups_per_hour",
    "access_token_seconds", "refresh_token_days", "max_packet_bytes", "cors_origins", "web_threads", "web_waits",
    "web_connections", "proxies", "log_level", "log_format", "trace_rate", "trace_every", "otel_endpoint",
)  # fmt: skip
# And what is only for `pabal bridge`.
_OF_BRIDGE = frozenset({"mqtt_url", "mqtt_url_file", "mqtt_ca", "mqtt_client_id"})
BROKER = tuple(name for name in Settings.model_fields if name not in _OF_WEBAPI | _OF_BRIDGE)
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
    "web_metrics": "HOST:PORT|off",
    "otel_endpoint": "URL",
    "ws_origins": "URL,URL",
    "public_mqtt": "URL",
    "public_ws": "URL",
    "database_url": "URL",
    "database_url_file": "FILE",
    "redis_url": "URL",
    "redis_url_file": "FILE",
    "keys_file": "FILE",
    "relay": "URL,URL",
    "relay_ca": "FILE",
    "service_secret": "SECRET",
    "service_secret_file": "FILE",
    "mqtt_url": "URL",
    "mqtt_url_file": "FILE",
    "mqtt_ca": "FILE",
    "mqtt_client_id": "NAME",
    "mqtt_hook_secret": "SECRET",
    "mqtt_hook_secret_file": "FILE",
    "service_name": "NAME",
    "rate_limits": "on|off",
    "cors_origins": "URL,URL",
    "push": "embedded|off",
    "push_private_endpoints": "HOST,HOST",
    "push_ca": "FILE",
    "push_webhook_secret": "SECRET",
    "push_webhook_secret_file": "FILE",
    "vapid_key_file": "FILE",
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

    def load(self, listening: Collection[str] | None = None) -> configuration.Loaded:
        """`listening` are the listeners that will be opened, None for all.

        Raises: SettingsError for the first wrong setting.
        """
        return configuration.load(self.given, self.config, listening)


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
