"""Errors that end a command, as a person at a terminal reads them."""


class CliError(Exception):
    """A command cannot go on: what is the matter, and what to do about it.

    Attributes:
        cause: one line, printed behind `error:`.
        hint: one line, printed behind `hint:`; None where the cause already says what would be right.
        exit_code: 1 for a failure, 2 for a wrong usage or setting.
    """

    exit_code = 1

    def __init__(self, cause: str, hint: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint


class UsageError(CliError):
    """The command was asked for in a wrong way."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is wrong; `cause` names it, its value (secrets hidden) and what would be right."""
