"""The commands by name. A module of `cli.commands` is imported when a command of it is named: `pabal send` need not wait
until all that a server is made of is there.
"""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Where each command is: the module, and the function or the group in it.
WHERE = {
    "serve": "serve.serve",
    "broker": "broker.broker",
    "webapi": "webapi.webapi",
    "bridge": "bridge.bridge",
    "push": "push.push",
    "mosquitto-config": "mosquitto.mosquitto_config",
    "doctor": "doctor.doctor",
    "bench": "bench.bench",
    "login": "client.login",
    "send": "client.send",
    "listen": "client.listen",
    "history": "client.history",
    "conversations": "account.conversations",
    "edit": "entries.edit",
    "recall": "entries.recall",
    "react": "entries.react",
    "delete": "entries.delete",
    "forward": "entries.forward",
    "read": "entries.read",
    "mute": "entries.mute",
    "unmute": "entries.unmute",
    "who": "people.who",
    "search": "people.search",
    "report": "people.report",
    "trace": "trace.trace",
    "user": "user.app",
    "db": "db.app",
    "keys": "keys.app",
    "admin": "push_queue.admin",
    "group": "group.app",
    "contact": "people.contact",
    "block": "people.block",
    "me": "account.me",
    "devices": "account.devices",
}


class Menu(TyperGroup):
    """What `pabal` offers, in the order of the table. Its help needs all of them, a command itself alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Found()

    def list_commands(self, _ctx: object) -> list[str]:
        """Without importing them."""
        return list(self.commands)


class _Found(MutableMapping[str, Any]):
    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(name, WHERE[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(WHERE)

    def __len__(self) -> int:
        return len(WHERE)

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("the table has it")


def _command(name: str, where: str) -> Any:
    module_name, _, attribute = where.partition(".")
    module = import_module(f"cli.commands.{module_name}")
    found = getattr(module, attribute)
    # A group around it, by which it is made like all others.
    around = typer.Typer(rich_markup_mode=None, add_completion=False)
    around.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name, epilog=getattr(module, "EPILOG", None))(found)
    group: Any = typer.main.get_command(around)
    return group.commands[name]
