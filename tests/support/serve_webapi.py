"""A web server as a process of its own: `serve_webapi.py FOLDER BIND [orphan | SETTINGS]`; tells in files there
when somebody waits (`waiting`) and when it was closed (`closed`).

SETTINGS: what is to be different in the ServeSettings, in JSON. With `orphan` the server is started by a process that stays until its standard input closes.
"""

import json
import subprocess
import sys
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from account_fakes import PASSWORD, open_world
from flask import Flask
from webapi_fakes import FakeChat

from pabal.ids import UserId
from webapi.app import Services, create_app
from webapi.serve import run
from webapi.settings import BrokerEndpoint, ServeSettings, WebSettings


class Waited(FakeChat):
    """Tells in a file that somebody waits for news."""

    def __init__(self, told: Path) -> None:
        super().__init__()
        self._told = told

    def heads(self, users: Collection[UserId]) -> dict[UserId, int]:
        self._told.touch()
        return super().heads(users)


def application(folder: Path) -> Flask:
    stack = ExitStack()
    world = stack.enter_context(open_world(folder))
    world.accounts.sign_up("alice", PASSWORD)
    chat = Waited(folder / "waiting")
    stack.callback((folder / "closed").write_text, "yes")
    return create_app(
        Services(world.accounts, chat, chat, close=stack.close),
        WebSettings(brokers=(BrokerEndpoint(None, None),)),
    )


def main() -> None:
    folder, bind = Path(sys.argv[1]), sys.argv[2]
    if sys.argv[3:] == ["orphan"]:
        subprocess.Popen([sys.executable, __file__, str(folder), bind])
        sys.stdin.read()
    else:
        given = {"threads": 4, "graceful_timeout_s": 20, **json.loads(sys.argv[3] if sys.argv[3:] else "{}")}
        run(lambda: application(folder), bind, ServeSettings(**given))


if __name__ == "__main__":
    main()
