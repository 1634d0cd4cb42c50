"""`pabal bench`: how fast a running server takes and delivers messages."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cli import database, output
from cli.address import Address
from cli.errors import CliError
from cli.flags import DATABASE, Flags, with_settings
from cli.load import accounts, pairs
from cli.load.pairs import Load
from cli.load.wire import LoadError, Person
from cli.loop import loop_factory
from cli.output import Json
from cli.probe import reachable

_LIMITED = "start the server with PABAL_RATE_LIMITS=off, or offer less with --rate"


@with_settings("mqtt", *DATABASE)
def bench(
    flags: Flags,
    *,
    couples: Annotated[
        int, typer.Option("--pairs", metavar="N", help="Senders, each with a receiver.", min=1)
    ] = 10,
    rate: Annotated[
        float,
        typer.Option(metavar="N", help="Messages a second in all; 0: as many as the window lets.", min=0),
    ] = 200.0,
    window: Annotated[
        int, typer.Option(metavar="N", help="With --rate 0: unanswered requests of each sender.", min=1)
    ] = 10,
    size: Annotated[int, typer.Option(metavar="BYTES", help="Of each text.", min=19, max=32_000)] = 100,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="To measure, after a second of warm-up.", min=0.1)
    ] = 10.0,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Send as these: [{"user": …, "device": …, "secret": …}, …], two for each pair.',
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a running server: messages a second, and latency from sending to receiving.

    Without --credentials, accounts bench-0001, bench-0002, … are made in the server's database, and stay. Their messages are real ones: measure a server of its own, not one that people use.
    """
    settings = flags.load().settings
    load = Load(pairs=couples, window=window, rate=rate, size=size, seconds=seconds, warmup_s=1)
    with ExitStack() as stack:
        if credentials is not None:
            people = _read(credentials)
        else:
            opened = stack.enter_context(database.accounts(settings, make=False))
            people = stack.enter_context(accounts.people(opened, 2 * couples))
        found = _measure(people, reachable(settings.mqtt), load)
    _tell(found, as_json=as_json)
    if not pairs.is_sound(found):
        hint = _LIMITED if "rate_limited" in found.get("refusal", "") else None
        raise CliError("not everything was delivered once, in order and answered: see above", hint)


def _measure(people: list[Person], address: Address, load: Load) -> dict[str, Any]:
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(pairs.run(people, address.host, address.port, load))
    except OSError as error:
        raise CliError(
            f"no server answers at {address}: {error}", "start it, or give --mqtt HOST:PORT"
        ) from error
    except LoadError as error:
        raise CliError(str(error)) from error


def _read(file: Path) -> list[Person]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Person])
    except (OSError, msgspec.DecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}") from error


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.data(found)
        return
    rows = [{"figure": name, "value": value} for name, value in found.items() if value is not None]
    output.table(("figure", "value"), rows, as_json=False)
