"""Settings from flags, environment and file, and one clear line about what is wrong with them."""

import difflib
import itertools
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from cli import secret_file
from cli.address import Address
from cli.errors import SettingsError
from cli.settings import FILE_SUFFIX, PREFIX, SECRETS, Settings

SECRET = frozenset(SECRETS)
# Variables that are no settings of the server: for this command, and for the client in the terminal.
OTHER_VARIABLES = frozenset({"PABAL_CONFIG", "PABAL_DEBUG", "PABAL_FAULTS", "PABAL_PROFILE", "PABAL_SERVER"})
_LONGEST_VALUE = 80


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    return PREFIX + name.upper()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and what deserves a warning but stops nothing."""

    settings: Settings
    warnings: list[str]
    config: Path | None


def load(
    flags: Mapping[str, Any] | None = None,
    config: str | None = None,
    listening: Collection[str] | None = None,
) -> Loaded:
    """All settings; a flag of None was not given. `listening` are the listeners that will be opened, None for all.

    Raises: SettingsError, in one line, for the first wrong setting found.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path = config or os.environ.get("PABAL_CONFIG") or None
    file = {} if path is None else _read(path)
    secrets = _secrets(given, file)
    decided: dict[str, Any] = {**given, **{name: one.value for name, one in secrets.items()}}
    try:
        settings = _sourced(file)(**decided)
    except ValidationError as error:
        raise _explained(error, given, file, path, secrets) from None
    if settings.web_waits >= settings.web_threads:
        raise SettingsError(
            f"web_waits = {settings.web_waits} is not right; expected fewer than web_threads "
            f"({settings.web_threads}), as each long poll keeps a thread"
        )
    _check_addresses(settings, listening)
    _check_tls(settings)
    return Loaded(settings, _unknown_variables(), None if path is None else Path(path))


class _FromFile(NamedTuple):
    value: str
    file: Path


def _secrets(flags: Mapping[str, object], file: Mapping[str, object]) -> dict[str, _FromFile]:
    """Those that stand in a file. For each of them the first of flags, environment and configuration that knows it
    decides, and says either the secret or its file.

    Raises: SettingsError for both at once, and for a file that cannot be used.
    """
    environment = {
        name: value
        for name in Settings.model_fields
        if (value := next((v for k, v in os.environ.items() if k.upper() == variable(name)), ""))
    }
    found = {}
    for name in SECRETS:
        other = name + FILE_SUFFIX
        for source in (flags, environment, file):
            if name in source and other in source:
                raise SettingsError(f"{name} and {other} are both given; expected one of them")
            if name in source:
                break
            if other in source:
                path = Path(str(source[other]))
                found[name] = _FromFile(secret_file.read(other, path), path)
                break
    return found


def _check_addresses(settings: Settings, listening: Collection[str] | None) -> None:
    chosen = [
        (name, value)
        for name, value in settings
        if isinstance(value, Address) and (listening is None or name in listening)
    ]
    for (name, address), (other, its) in itertools.combinations(chosen, 2):
        if address.clashes(its):
            raise SettingsError(
                f"{name} = {address} and {other} = {its} are the same port; expected one port for each"
            )


def _check_tls(settings: Settings) -> None:
    """Whether all that belongs together is there; what is in the files is looked at by who reads them."""
    listening = [name for name in ("mqtts", "wss") if getattr(settings, name) is not None]
    files = {name: getattr(settings, name) for name in ("tls_cert", "tls_key", "tls_client_ca")}
    for name in ("tls_cert", "tls_key"):
        if listening and files[name] is None:
            raise SettingsError(
                f"{listening[0]} = {getattr(settings, listening[0])} wants {name} too; expected a PEM file there"
            )
    for name, file in files.items():
        if listening and file is not None and not os.access(file, os.R_OK):
            raise SettingsError(f"{name} = {str(file)!r} cannot be read; expected a PEM file")


def _sourced(file: Mapping[str, object]) -> type[Settings]:
    """Settings that read this file, below the environment."""

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- likewise
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=dict(file))

    return Sourced


def _read(path: str) -> dict[str, Any]:
    try:
        file = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"config = {path!r}: cannot be read ({error.strerror}); a TOML file is wanted"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"config = {path!r}: not a TOML file ({error}); a TOML file is wanted") from None
    for name, value in file.items():
        if name not in Settings.model_fields:
            raise SettingsError(
                f"{name} = {_shown(name, value)} in {path}: there is no such setting"
                f"{_meant(name, Settings.model_fields)}"
            )
    return file


def _explained(
    error: ValidationError,
    flags: Mapping[str, object],
    file: Mapping[str, object],
    path: str | None,
    secrets: Mapping[str, _FromFile],
) -> SettingsError:
    name = str(error.errors()[0]["loc"][0])
    extra = Settings.model_fields[name].json_schema_extra
    expected = extra["expected"] if isinstance(extra, dict) else ""
    in_environment = {key.upper(): value for key, value in os.environ.items()}
    origin: str
    value: object
    if name in secrets:
        origin, value = f"file {secrets[name].file}", secrets[name].value
    elif name in flags:
        origin, value = f"flag {flag(name)}", flags[name]
    elif in_environment.get(variable(name)):
        origin, value = f"environment {variable(name)}", in_environment[variable(name)]
    else:
        origin, value = f"{path}", file.get(name)
    return SettingsError(f"{name} = {_shown(name, value)} ({origin}) is not right; expected {expected}")


def _shown(name: str, value: object) -> str:
    if name in SECRET:
        scheme, colon, _rest = str(value).partition(":")
        return f"'{scheme}:***'" if colon and name.endswith("_url") else "'***'"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else "; all settings are in docs/configuration.md"


def _unknown_variables() -> list[str]:
    known = {variable(name) for name in Settings.model_fields} | OTHER_VARIABLES
    return [
        f"{key} is set, but there is no such setting{_meant(key.upper(), sorted(known))}"
        for key in sorted(os.environ)
        if key.upper().startswith(PREFIX) and key.upper() not in known
    ]
