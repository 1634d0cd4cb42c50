"""A Pabal client in the terminal: the client side of `pabal login`, `send`, `listen` and `history`.

Nothing here parses a command line; `cli/` wraps these functions.
"""

from pabal_terminal.commands import history, listen, login, send
from pabal_terminal.errors import TerminalError
from pabal_terminal.output import Output
from pabal_terminal.profile import Profile, default_path

__all__ = ["Output", "Profile", "TerminalError", "default_path", "history", "listen", "login", "send"]
