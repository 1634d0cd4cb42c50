"""Composition root of `pabal broker --open`: a broker, and nothing behind it but perhaps a folder."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bridge.build import Bridge
from broker.open_mode import build_open_broker
from cli import database, logs, loop, output, sockets
from cli.address import Address
from cli.settings import Settings
from cli.tls import LISTENERS, check, given

_FILE: Final = "broker.sqlite3"


def run(
    addresses: Mapping[str, Address],
    deny: Sequence[str],
    cert: Path | None = None,
    key: Path | None = None,
    data: Path | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. `addresses`: by the names of their flags, `mqtt` always among them. `data`: the
    folder that sessions and retained messages are kept in; None: in memory.

    Raises: CliError if an address cannot be listened on, or another server uses the folder; SettingsError if a
    certificate or the folder cannot be used.
    """
    logs.configure("info", "text")
    for name, address in addresses.items():
        sockets.listen(name, address).close()
    if data is None:
        loop.run(_serve(addresses, deny, cert, key, None))
        return
    # A file of its own: whatever else is in the folder is nothing to an open broker.
    settings = Settings(data=data, database_url=SecretStr(f"sqlite:///{data / _FILE}"))
    with database.held(settings):
        database.upgrade(settings)
        loop.run(_serve(addresses, deny, cert, key, settings))


async def _serve(
    addresses: Mapping[str, Address],
    deny: Sequence[str],
    cert: Path | None,
    key: Path | None,
    settings: Settings | None,
) -> None:
    stop = loop.stop_signals()
    tls = given(addresses.get("mqtts"), addresses.get("wss"), cert, key, None)
    check(tls)
    ws = addresses.get("ws")
    async with contextlib.AsyncExitStack() as stack:
        bridge = None if settings is None else Bridge(settings.url, witness=settings.witness)
        store = None if bridge is None else bridge.sessions
        broker = build_open_broker(
            mqtt=str(addresses["mqtt"]),
            ws=None if ws is None else str(ws),
            deny=list(deny),
            tls=tls,
            store=store,
            queues=store,
        )
        if bridge is not None:
            # It writes what the broker keeps, and ends after it. Nobody sends it anything of conversations.
            stack.push_async_callback(bridge.stop)
            await bridge.start(broker)
        await broker.start()
        stack.push_async_callback(broker.shutdown)
        loop.on_hangup(broker.reload_certificates)
        output.ready(
            [
                f"{name}={Address(*broker.bound[listener])}"
                for name, listener in LISTENERS
                if listener in broker.bound
            ]
        )
        await stop.wait()
