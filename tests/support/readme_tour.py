"""The tour of the README as steps: what to type, and what is printed then."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "curl", "mosquitto_pub", "mosquitto_sub")
_BLOCK = re.compile(r"^<!-- tour -->\n```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
# A step prints this when it is done, so that its output can be told from the next one's.
_END = "-- end of step --"
_API = "http://127.0.0.1:8080"


class Step(NamedTuple):
    typed: str
    printed: str


class Place(NamedTuple):
    """The README speaks of the default ports on this machine; here is what stands for them.

    `api` is the REST API's base URL; `mqtt` are the words that tell `mosquitto_pub` and `mosquitto_sub` the broker.
    """

    api: str
    mqtt: str


def steps(readme: str) -> list[Step]:
    text = (ROOT / readme).read_text("utf-8")
    return [Step(match[1], match[2] or "") for match in _BLOCK.finditer(text)]


def walk(tour: list[Step], place: Place, environment: Mapping[str, str], seconds: float) -> None:
    """Do it all in one shell.

    Raises: AssertionError for the first step that does not print what it should, and if it takes too long.
    """
    try:
        run = subprocess.run(
            ["bash", "-c", _script(tour, place)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=dict(environment),
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        printed = (late.stdout or b"").decode("utf-8", "replace")
        raise AssertionError(f"the tour took more than {seconds:g} s; it printed\n{printed}") from None
    assert run.returncode == 0, run.stdout
    printed = run.stdout.split(f"{_END}\n")[:-1]
    assert len(printed) == len(tour), run.stdout
    for step, got in zip(tour, printed, strict=True):
        _check(step, got.splitlines(), place)


def _script(tour: list[Step], place: Place) -> str:
    preamble = f"""
set -u
mosquitto_sub() {{ command mosquitto_sub {place.mqtt} -W 120 "$@"; }}
mosquitto_pub() {{ command mosquitto_pub {place.mqtt} "$@"; }}
"""
    moved = [step.typed.replace(_API, place.api) for step in tour]
    return preamble + "".join(f"{step}\necho '{_END}'\n" for step in moved)


def _check(step: Step, got: list[str], place: Place) -> None:
    expected = step.printed.splitlines()
    assert len(got) == len(expected), f"{step.typed}\nprinted\n{got}\nand not\n{expected}"
    left = list(got)
    for line in expected:
        pattern = _as_pattern(line, place)
        # Where something runs in the background, the order of the lines is a matter of chance.
        candidates = left if "&\n" in step.typed else left[:1]
        found = next((there for there in candidates if pattern.fullmatch(there)), None)
        assert found is not None, f"{step.typed}\nprinted\n{got}\nand not\n{expected}"
        left.remove(found)


def _as_pattern(line: str, place: Place) -> re.Pattern[str]:
    """The line of the README as what may really be printed: an ellipsis is anything."""
    here = line.replace(_API, place.api)
    return re.compile(".*".join(re.escape(part) for part in here.split("…")))
