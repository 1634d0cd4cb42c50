"""Accounts: who may come in, on which device, and until when. The broker, webapi and the command line use it.

Everything is decided against live rows. Whatever must end live connections writes a row for the relay into the
same transaction, which acts on it within a second. Passwords are hashed outside transactions.
"""

from bridge.accounts.credentials import Credentials
from bridge.accounts.devices import Devices
from bridge.accounts.logins import Logins
from bridge.accounts.people import People
from bridge.accounts.security import Security


class Accounts(People, Logins, Devices, Credentials, Security):
    """All use cases of accounts at one desk, over one store."""

    def ping(self) -> None:
        """Raises: Unavailable if the database does not answer."""
        with self._store.reading() as tx:
            tx.ping()
