"""The `pabal` command: its commands put together, and errors told as a cause and a hint."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from bridge.accounts.key_errors import KeyFileError
from bridge.store.unusable import NotAdmitted, UnusableDatabase
from cli import output
from cli.errors import CliError, SettingsError
from cli.menu import Menu
from pabal.errors import PabalError
from pabal_terminal import TerminalError

INTERRUPTED = 130

app = typer.Typer(
    cls=Menu,
    name="pabal",
    help="Pabal: a chat server in which any MQTT client is a chat client.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.line(f"pabal {version('pabal')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a failure, 2 for a wrong usage or setting.

    What a command raises is printed as `error:` and `hint:`; the traceback only with PABAL_DEBUG set.
    """
    command = typer.main.get_command(app)
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = int(command.main(given, prog_name="pabal", standalone_mode=False) or 0)
        sys.stdout.flush()  # a reader that has gone is found out here, not when the interpreter ends
    except Exception as error:
        if os.environ.get("PABAL_DEBUG"):
            raise
        return _explain(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _explain(error: Exception) -> int:
    match error:
        case CliError():
            output.complaint(error.cause, error.hint)
            return error.exit_code
        case NotAdmitted():
            output.complaint(f"{error.detail}; {error.hint}")
            return SettingsError.exit_code
        case TerminalError(code=str(code)):
            output.complaint(f"{error.detail} ({code})", error.hint)
        case UnusableDatabase() | KeyFileError() | TerminalError():
            output.complaint(error.detail, error.hint)
        case PabalError():
            output.complaint(error.detail)
        case typer.TyperException() if error.format_message().startswith("Usage:"):
            # A group of commands without one of them: its help is the answer.
            output.note(error.format_message())
            return error.exit_code
        case typer.TyperException():
            output.complaint(error.format_message(), "pabal --help, and --help behind each command, say more")
            return error.exit_code
        case typer.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            # Whoever read our output has gone; what is still buffered must not complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case _:
            output.complaint(
                f"{type(error).__name__}: {error}",
                "set PABAL_DEBUG=1 and try again to see where this comes from",
            )
    return 1
