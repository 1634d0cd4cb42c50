"""A Pabal client in the terminal: the client side of `pabal login`, `send`, `listen` and the other commands.

Nothing here parses a command line; `cli/` wraps these functions. What belongs to a noun is in its module: `groups`,
`people`, `account`; what is done about messages is in `entries`.
"""

from pabal_terminal import account, entries, groups, people
from pabal_terminal.commands import history, listen, login, send
from pabal_terminal.errors import TerminalError
from pabal_terminal.output import Output
from pabal_terminal.profile import Profile, default_path

__all__ = [
    "Output",
    "Profile",
    "TerminalError",
    "account",
    "default_path",
    "entries",
    "groups",
    "history",
    "listen",
    "login",
    "people",
    "send",
]
