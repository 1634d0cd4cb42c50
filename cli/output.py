"""What commands print: data on stdout, for people or as JSON; everything else on stderr."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def colours(stream: TextIO) -> bool:
    """Whether to write in colour: only to a terminal, and not where NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def data(value: object) -> None:
    """One JSON document."""
    print(json.dumps(value, ensure_ascii=False, default=str))  # noqa: T201 -- stdout is where data goes


def line(text: str) -> None:
    """One line for people, on stdout."""
    print(text)  # noqa: T201 -- stdout is where data goes


def ready(parts: Sequence[str], role: str | None = None) -> None:
    """The one line that says where a server listens, once it does; `role` None is the all-in-one."""
    print("pabal", *([] if role is None else [role]), "ready", *parts, flush=True)  # noqa: T201 -- the line that programs wait for


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Rows for people, or a JSON array of them. Colour only on a terminal, and nothing is cut off elsewhere."""
    if as_json:
        data(list(rows))
        return
    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*(_cell(row.get(column)) for column in columns))
    console = Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else 1_000,
        color_system="standard" if colours(sys.stdout) else None,
        highlight=False,
    )
    console.print(shown)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
    return str(value)


def complaint(cause: str, hint: str | None = None) -> None:
    """`error:` and `hint:`, on stderr."""
    red, bold, plain = ("\033[31m", "\033[1m", "\033[0m") if colours(sys.stderr) else ("", "", "")
    print(f"{red}error:{plain} {cause}", file=sys.stderr)  # noqa: T201 -- a command line speaks on stderr
    if hint is not None:
        print(f"{bold}hint:{plain} {hint}", file=sys.stderr)  # noqa: T201 -- likewise


def warning(text: str) -> None:
    note(f"warning: {text}")


def note(text: str) -> None:
    """For people, beside the data."""
    print(text, file=sys.stderr)  # noqa: T201 -- a command line speaks on stderr
