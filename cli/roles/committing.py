"""What the roles that commit have in common: their turn, and who watches them meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from bridge.accounts.service import Accounts
from bridge.store.lease import Lease
from cli import loop, output
from cli.roles import standby, storage
from cli.roles.health import Answering, Health, Phase, that
from cli.roles.standby import Held
from cli.roles.watch import Watch
from cli.settings import Settings


class Committing:
    """One role in one process. `stack` closes what is left of it after its event loop."""

    def __init__(self, settings: Settings, stack: contextlib.ExitStack) -> None:
        self.health = Health()
        self.watch = Watch(settings, self.health)
        self._settings = settings
        self._stack = stack

    @contextlib.asynccontextmanager
    async def turn(self, stop: asyncio.Event) -> AsyncIterator[Held | None]:
        """Begins when nobody else commits; None if told to stop before. A standby is healthy and not ready.

        Raises: as `standby.hold`.
        """
        try:
            yield await standby.hold(self._settings, self._stack, stop, self._stand_by)
        finally:
            await self.watch.stop()

    async def open_accounts(self, patience_s: float) -> Accounts:
        """In one's turn, once the ports of the role are known to be free: listens for those who watch, and has the
        database up to date.

        Raises: CliError, SettingsError, UnusableDatabase, KeyFileError.
        """
        await self.watch.start(patience_s)
        storage.make_current(self._settings)
        return storage.open_accounts(self._settings, self._stack)

    def need(self, lease: Lease, accounts: Accounts) -> None:
        """Ready is who holds the lease and reaches the database."""
        self.health.require(that(lambda: lease.held, "the database is not ours at the moment"))
        self.health.require(Answering(accounts.ping, "the database does not answer"))

    @contextlib.contextmanager
    def serving(self, ready: list[str], role: str | None = None) -> Iterator[None]:
        """Says the ready line; everything is built and listens."""
        loop.settle_heap()
        self.health.phase = Phase.SERVING
        output.ready(ready, role)
        self.watch.tell()
        try:
            yield
        finally:
            self.health.phase = Phase.STOPPING

    async def _stand_by(self) -> None:
        self.health.phase = Phase.STANDBY
        await self.watch.start_if_free()
