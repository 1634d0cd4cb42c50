"""What each person lets others do and see: chosen by everybody for themselves, kept in the account."""

import unicodedata
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pabal.errors import BadRequest

Known = Literal["everyone", "contacts"]
Seen = Literal["everyone", "contacts", "nobody"]
# Of a display name, folded; longer ones differ in what nobody types into a search.
FOLDED_MAX = 64


class Privacy(Struct, frozen=True, kw_only=True):
    """`contacts` are those whom one has accepted.

    Attributes:
        write: who may send messages.
        groups: who may add one to groups.
        presence: who sees whether one is online.
        last_seen: who sees when one was last.
        read_receipts: whether others are told how far one has read.
        search: whether strangers find one by the beginning of the name.
    """

    write: Known = "everyone"
    groups: Known = "everyone"
    presence: Seen = "contacts"
    last_seen: Seen = "contacts"
    read_receipts: bool = True
    search: bool = True


class PrivacyPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. A name that there is not is refused: a setting that is dropped in silence would let
    its owner believe in it.
    """

    write: Known | UnsetType = UNSET
    groups: Known | UnsetType = UNSET
    presence: Seen | UnsetType = UNSET
    last_seen: Seen | UnsetType = UNSET
    read_receipts: bool | UnsetType = UNSET
    search: bool | UnsetType = UNSET


DEFAULT = Privacy()
_kept = msgspec.json.Decoder(Privacy)
_FIELDS = Privacy.__struct_fields__


def parse(text: str | None) -> Privacy:
    """What was kept by `dump`. Fields that this version does not know are passed over."""
    return DEFAULT if text is None else _kept.decode(text)


def dump(privacy: Privacy) -> str | None:
    """How it is kept; None where it is as for everybody at first."""
    return None if privacy == DEFAULT else msgspec.json.encode(privacy).decode()


def changed(old: Privacy, patch: PrivacyPatch) -> Privacy:
    given = {name: getattr(patch, name) for name in _FIELDS}
    given = {name: value for name, value in given.items() if value is not UNSET}
    return msgspec.structs.replace(old, **given)


def read(value: object) -> PrivacyPatch:
    """From a document that somebody sent.

    Raises: BadRequest naming the field.
    """
    if not isinstance(value, dict):
        raise BadRequest("an object with the settings to change", field="privacy")
    for name, one in value.items():
        try:
            msgspec.convert({name: one}, PrivacyPatch)
        except msgspec.ValidationError as error:
            raise BadRequest(str(error).partition(" - at ")[0], field=f"privacy.{name}") from error
    return msgspec.convert(value, PrivacyPatch)


def folded(text: str) -> str:
    """As search compares names: whoever types small letters finds large ones, and half-width ones full-width ones."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:FOLDED_MAX]
