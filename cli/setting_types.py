"""What kinds of settings there are: how each is read from text, written again, and refused."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr
from pydantic_settings import NoDecode

from bridge.backplane.address import RedisAddress
from bridge.store.engine import normal_url
from broker.external import endpoint
from cli.address import Address

MIN_SECRET = 16


def _on_or_off(value: object) -> object:
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in {"on", "true", "yes", "1"}:
            return True
        case str() if value.strip().lower() in {"off", "false", "no", "0"}:
            return False
    raise ValueError("on or off")


def _address_or_off(value: object) -> object:
    if value is False or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    return None if value is None else Address.parse(value)


def _address_text(value: Address | None) -> str:
    return "off" if value is None else str(value)


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _table(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _named(value: object) -> object:
    if value == "" or (isinstance(value, str) and "\0" in value):
        raise ValueError("a folder has a name")
    return value


def _text_of(value: object, expected: str) -> str:
    """Raises: ValueError if it is neither text nor a secret."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError(expected)  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    return text


def _database(value: object) -> object:
    return None if value is None else normal_url(_text_of(value, "no database URL"))


def _broker_url(value: object) -> object:
    if value is None:
        return None
    text = _text_of(value, endpoint.EXPECTED)
    endpoint.parse(text)
    return text


def _redis(value: object) -> object:
    if value is None:
        return None
    text = _text_of(value, "no URL of Redis")
    RedisAddress.parse(text)
    return text


def _revealed(secret: SecretStr | None) -> str | None:
    """Settings are written out for one reader only: the server's own child process, through a pipe."""
    return None if secret is None else secret.get_secret_value()


def _shared_secret(value: object) -> object:
    if value is None:
        return None
    text = _text_of(value, "no text")
    if len(text) < MIN_SECRET or not text.isprintable():
        raise ValueError("too short")
    return text


def _relays(value: object) -> object:
    urls = _listed(value)
    if not isinstance(urls, list):
        raise ValueError("no list")  # noqa: TRY004 -- pydantic answers ValueError, not TypeError
    kinds = set()
    for url in urls:
        kind, found, address = str(url).partition("://")
        if not found or kind not in {"mqtt", "mqtts"} or not Address.parse(address).port:
            raise ValueError("no URL")
        kinds.add(kind)
    if len(kinds) > 1:
        raise ValueError("of two kinds")
    return urls


Listening = Annotated[Address, NoDecode, BeforeValidator(Address.parse), PlainSerializer(str)]
OptionalListening = Annotated[
    Address | None, NoDecode, BeforeValidator(_address_or_off), PlainSerializer(_address_text)
]
OptionalFile = Annotated[Path | None, BeforeValidator(_named)]
Switch = Annotated[bool, BeforeValidator(_on_or_off)]
Origins = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Relays = Annotated[list[str], NoDecode, BeforeValidator(_relays)]
Plugins = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_table)]
Secret = Annotated[SecretStr, PlainSerializer(_revealed)]
SharedSecret = Annotated[Secret | None, BeforeValidator(_shared_secret)]
DatabaseUrl = Annotated[Secret | None, BeforeValidator(_database)]
BrokerUrl = Annotated[Secret | None, BeforeValidator(_broker_url)]
RedisUrl = Annotated[Secret | None, BeforeValidator(_redis)]
Folder = Annotated[Path, BeforeValidator(_named)]


def setting(default: object, help_: str, expected: str, **bounds: Any) -> Any:
    """A field with what a person should know; `expected` is what the refusal of a wrong value says."""
    return Field(default, description=help_, json_schema_extra={"expected": expected}, **bounds)


def secret_file(name: str) -> Any:
    return setting(
        None,
        f"A file with {name}, instead of the value itself.",
        "a file that this user can read, and not everybody",
    )


def number(default: int, help_: str, *, low: int, high: int) -> Any:
    return setting(default, help_, f"a whole number from {low} to {high}", ge=low, le=high)
