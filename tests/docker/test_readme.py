"""What docker/README.md tells people to type is there to be typed."""

import re
import shlex

import pytest
import typer.main
from compose_files import DOCKER, compose

from cli.main import app

PAGE = (DOCKER / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("docker compose ")
]
SERVICES = compose("compose.yaml")["services"]
ALL_SERVICES = SERVICES | compose("compose.mosquitto.yaml")["services"]
# Options of `docker compose run` that take a value.
WITH_VALUE = {"--entrypoint"}


def words_of_run(command):
    """The service, its entry point where it is not the image's, and the words for it."""
    rest, entry = command[3:], None
    while rest[0].startswith("-"):
        option = rest.pop(0)
        if option in WITH_VALUE:
            entry = rest.pop(0)
    return rest[0], entry, rest[1:]


def test_the_page_has_commands():
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[2] == "run"], ids=" ".join)
def test_a_command_of_pabal_exists(command):
    service, entry, words = words_of_run(command)
    assert service in SERVICES
    if entry is not None:
        return
    group = typer.main.get_command(app)
    for word in words:
        if not hasattr(group, "commands"):
            return
        assert word in group.commands, f"there is no pabal {' '.join(words)}"
        group = group.commands[word]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[2] != "run"], ids=" ".join)
def test_the_services_of_a_command_exist(command):
    verb, rest = command[2], [word for word in command[3:] if not word.startswith(("-", "<", ">"))]
    match verb:
        case "stop" | "restart":
            assert set(rest) <= set(ALL_SERVICES)
        case "exec":
            assert rest[0] in SERVICES
        case "up":
            assert all(word.partition("=")[0] in SERVICES for word in rest)
        case "logs":
            assert set(rest[1:]) <= set(SERVICES)
        case "cp":
            assert rest[0].partition(":")[0] in SERVICES
        case _:
            assert verb in {"build", "ps", "down"}


def test_a_restore_and_an_upgrade_stop_who_writes_and_say_what_was_done():
    stopped = {name for name, service in SERVICES.items() if service["image"] == "pabal"} - {"tool"}
    for title, last in (("Restore", "db restored"), ("Upgrade", "db upgrade")):
        block = re.search(rf"^## {title}\n.*?^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
        lines = block.splitlines()
        [stop] = [line for line in lines if line.startswith("docker compose stop ")]
        assert set(stop.split()[3:]) == stopped
        assert lines[-2:] == [f"docker compose run --rm tool {last}", "docker compose up -d"]
