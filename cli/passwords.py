"""Passwords from a person or a pipe, never from an argument, which every user of a machine can read."""

import sys

import typer

from cli.errors import UsageError


def ask(prompt: str, *, from_stdin: bool, twice: bool = False) -> str:
    """One line of standard input, or what is typed (unseen) at a terminal; `twice` asks for it again.

    Raises: UsageError if there is nobody to ask.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise UsageError(
                "no password on standard input",
                "pipe one line in: printf '%s\\n' \"$PASSWORD\" | pabal … --password-stdin",
            )
        return password
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a password", "add --password-stdin and pipe it in")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))


def confirm(question: str) -> None:
    """Returns if a person at a terminal says yes, and where there is none: a script means what it says.

    Raises: typer.Abort for a no.
    """
    if sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
