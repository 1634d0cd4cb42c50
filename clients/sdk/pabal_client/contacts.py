"""Contacts and blocks, as `Client.contacts` and `Client.blocks`."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from pabal.messages import ContactState, Done
from pabal_client.asking import Asking, read_done
from pabal_client.pending import Pending


class Contact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state` is `accepted`, `requested` (by this user) or `received` (waits for this user's word). `since` is in
    milliseconds since 1970 UTC.
    """

    user: str
    state: str = "accepted"
    display_name: str | None = None
    text: str | None = None
    since: int = 0


class Block(Struct, frozen=True, kw_only=True):
    user: str
    since: int = 0


class _Contacts(Struct, frozen=True, kw_only=True):
    contacts: list[Contact] = []
    more: bool = False


class _Blocks(Struct, frozen=True, kw_only=True):
    blocks: list[Block] = []
    more: bool = False


read_contacts = msgspec.json.Decoder(_Contacts).decode
read_blocks = msgspec.json.Decoder(_Blocks).decode
read_state = msgspec.json.Decoder(ContactState).decode


def all_contacts(ask: Callable[[str | None], _Contacts]) -> list[Contact]:
    """Page after page; `ask` is told the last user of the one before."""
    rows: list[Contact] = []
    while True:
        page = ask(rows[-1].user if rows else None)
        rows += page.contacts
        if not page.more or not page.contacts:
            return rows


def all_blocks(ask: Callable[[str | None], _Blocks]) -> list[Block]:
    """Likewise."""
    rows: list[Block] = []
    while True:
        page = ask(rows[-1].user if rows else None)
        rows += page.blocks
        if not page.more or not page.blocks:
            return rows


class Contacts:
    """Who this user knows. Changes are kept like messages; `wait` of what is returned waits for the answer.

    What others do about it comes as a `ContactChange` among the updates.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def request(self, user: str, text: str | None = None) -> Pending[ContactState]:
        """Ask to be contacts, with a word to say who asks. Where they have asked already, both are from now on; the
        answer's `state` says so.
        """
        return self._asking.about("contact.request", user, read_state, text=text)

    def accept(self, user: str) -> Pending[Done]:
        """Say yes to a request."""
        return self._asking.about("contact.accept", user, read_done)

    def remove(self, user: str) -> Pending[Done]:
        """No contacts any more; also refuses a request, or takes one back."""
        return self._asking.about("contact.remove", user, read_done)

    def list(self, *, timeout: float = 30.0) -> Sequence[Contact]:
        """Contacts, and requests both ways. Raises: PabalError; NotConfirmed after `timeout` seconds for a page."""
        return all_contacts(lambda after: self._asking.ask("contacts", read_contacts, timeout, after=after))


class Blocks:
    """Who may not reach this user. They are not told; what they send is refused as `blocked`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add(self, user: str) -> Pending[Done]:
        return self._asking.about("block.add", user, read_done)

    def remove(self, user: str) -> Pending[Done]:
        return self._asking.about("block.remove", user, read_done)

    def list(self, *, timeout: float = 30.0) -> Sequence[Block]:
        """Raises: PabalError; NotConfirmed after `timeout` seconds for a page."""
        return all_blocks(lambda after: self._asking.ask("blocks", read_blocks, timeout, after=after))
