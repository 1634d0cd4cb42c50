import os
import re
import subprocess
import sys

import pytest
import typer

import cli.main
from cli.errors import CliError
from pabal.errors import NotFound


def test_without_a_command_the_help_is_shown_and_the_exit_code_says_usage(pabal):
    done = pabal()
    assert done.code == 2
    assert done.err.startswith("Usage: pabal ")
    assert "error:" not in done.err


@pytest.mark.parametrize("group", ["user", "db", "keys", "group", "contact", "block", "me", "devices"])
def test_a_group_without_a_command_shows_its_help(pabal, group):
    done = pabal(group)
    assert done.code == 2
    assert done.err.startswith(f"Usage: pabal {group} ")


def test_the_version_is_printed(pabal):
    done = pabal("--version")
    assert done.code == 0
    assert re.fullmatch(r"pabal \d+\.\d+\.\d+\n", done.out)


@pytest.mark.parametrize(
    "arguments", [["nope"], ["serve", "--nope"], ["user", "add"], ["history", "--limit=0", "x"]]
)
def test_a_wrong_usage_is_told_as_error_and_hint_with_exit_code_2(pabal, arguments):
    done = pabal(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert re.fullmatch(r"error: .+\nhint: .+\n", done.err)


@pytest.mark.parametrize(
    "command", ["serve", "broker", "user", "db", "keys", "doctor", "login", "send", "listen", "history"]
)
def test_every_command_has_a_help(pabal, command):
    done = pabal(command, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: pabal {command}")
    assert command in pabal("--help").out


def test_no_help_shows_the_type_of_a_value_for_its_meaning(pabal):
    commands = ["serve", "broker", "doctor", "login", "send", "listen", "history"]
    commands += ["user add", "user list", "user passwd", "user disable", "user enable", "user delete"]
    commands += ["db upgrade", "db check", "db backup", "keys rotate"]
    for command in commands:
        help_ = pabal(*command.split(), "--help").out
        assert not re.search(r"--[a-z-]+,? (TEXT|INTEGER|FLOAT|PATH)\b", help_), help_


@pytest.mark.parametrize("command", ["doctor", "mosquitto-config"])
def test_a_default_is_said_once(pabal, command):
    assert not re.search(r"\[[^]]*\]\s+\[default: ", pabal(command, "--help").out)


def test_every_setting_is_a_flag_of_serve_and_the_help_says_where_else_it_may_stand(pabal):
    help_ = pabal("serve", "--help").out
    assert "PABAL_LOG_LEVEL" in help_
    assert "TOML" in help_
    for flag in (
        "--mqtt HOST:PORT",
        "--rate-limits on|off",
        "--inbox-keep-days N",
        "--config FILE",
        "--plugins JSON",
    ):
        assert flag in help_


@pytest.fixture
def failing(pabal, monkeypatch):
    """Runs `keys rotate` with whatever error in its place."""

    def fail(error):
        def act(*_arguments, **_options):
            raise error

        monkeypatch.setattr("cli.database.require_existing", act)
        return pabal("keys", "rotate")

    return fail


def test_a_cause_without_a_hint_is_one_line(failing):
    done = failing(CliError("it is so"))
    assert (done.code, done.err) == (1, "error: it is so\n")


def test_a_refusal_of_the_protocol_is_told_in_its_words(failing):
    assert failing(NotFound("no user 'x'")).err == "error: no user 'x'\n"


def test_an_unforeseen_error_is_one_line_and_says_how_to_see_more(failing):
    done = failing(ZeroDivisionError("division by zero"))
    assert done.code == 1
    assert done.err.startswith("error: ZeroDivisionError: division by zero\nhint: set PABAL_DEBUG=1")


def test_with_debug_the_traceback_is_seen(failing, monkeypatch):
    monkeypatch.setenv("PABAL_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c_ends_with_the_code_that_shells_expect_and_without_words(failing, error):
    done = failing(error)
    assert (done.code, done.err) == (130, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_away_is_no_reason_for_a_complaint(tmp_path, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cli", "db", "upgrade", "--data", f"{tmp_path}/d", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        text=True,
        check=False,
        timeout=150,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_colour_is_for_terminals_only(pabal, monkeypatch):
    assert "\033" not in pabal("nope").err
    monkeypatch.setattr("cli.output.sys.stderr.isatty", lambda: True, raising=False)
    assert pabal("nope").err.startswith("\033[31merror:\033[0m ")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in pabal("nope").err


def test_the_entry_point_returns_an_exit_code(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pabal", "--version"])
    assert cli.main.main() == 0


def test_a_client_of_the_terminal_does_not_wait_for_what_servers_are_made_of():
    code = "import sys; from cli.main import main; main(['send', '--help']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    assert ran.stdout.startswith("Usage: pabal send")
    packages = {name.partition(".")[0] for name in ran.stderr.split()}
    assert packages & {
        "pabal_client",
        "sqlalchemy",
        "alembic",
        "flask",
        "cryptography",
        "uvloop",
        "broker",
    } == {"pabal_client"}
