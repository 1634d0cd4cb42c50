import io
import logging
import os
from types import SimpleNamespace

import pytest
import structlog

from cli.main import main


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for key in list(os.environ):
        if key.upper().startswith("PABAL_"):
            monkeypatch.delenv(key)


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was():
    """What a command sets up for its own process is no business of the tests after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def pabal(tmp_path, monkeypatch, capsys):
    """`pabal("user", "list", stdin="…")` runs one command on a data folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(arguments)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run
