"""The tour of the README, in both languages, does and prints what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^<!-- tour -->\n```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
# A step prints this when it is done, so that its output can be told from the next one's.
END = "-- end of step --"
TOUR_S = 400
TOOLS = ("bash", "curl", "mosquitto_pub", "mosquitto_sub")

# The README speaks of the default ports; here the server has others.
PREAMBLE = """
set -u
mosquitto_sub() {{ command mosquitto_sub -h 127.0.0.1 -p {mqtt} -W 120 "$@"; }}
mosquitto_pub() {{ command mosquitto_pub -h 127.0.0.1 -p {mqtt} "$@"; }}
"""


def blocks(readme):
    return [(match[1], match[2] or "") for match in BLOCK.finditer((ROOT / readme).read_text("utf-8"))]


def script(steps, server):
    moved = [step.replace("127.0.0.1:8080", f"127.0.0.1:{server.http}") for step, _printed in steps]
    return PREAMBLE.format(mqtt=server.mqtt) + "".join(f"{step}\necho '{END}'\n" for step in moved)


def as_pattern(line, server):
    """The line of the README as what may really be printed: an ellipsis is anything."""
    here = line.replace("127.0.0.1:8080", f"127.0.0.1:{server.http}")
    return re.compile(".*".join(re.escape(part) for part in here.split("…")))


@pytest.mark.skipif(
    not os.environ.get("CI") and any(shutil.which(tool) is None for tool in TOOLS),
    reason=f"the tour is for people who have {', '.join(TOOLS)}",
)
@pytest.mark.functional
@pytest.mark.timeout(TOUR_S + 90)
@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_tour_prints_what_the_readme_says(readme, server, tmp_path):
    steps = blocks(readme)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PABAL_SERVER"] = f"http://127.0.0.1:{server.http}"
    environment["TMPDIR"] = str(tmp_path)
    run = subprocess.run(
        ["bash", "-c", script(steps, server)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        encoding="utf-8",
        timeout=TOUR_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    printed = run.stdout.split(f"{END}\n")[:-1]
    assert len(printed) == len(steps), run.stdout
    for (step, expected), got in zip(steps, printed, strict=True):
        check_step(step, expected.splitlines(), got.splitlines(), server)


def check_step(step, expected, got, server):
    assert len(got) == len(expected), f"{step}\nprinted\n{got}\nand not\n{expected}"
    left = list(got)
    for line in expected:
        pattern = as_pattern(line, server)
        # Where something runs in the background, the order of the lines is a matter of chance.
        candidates = left if "&\n" in step else left[:1]
        found = next((there for there in candidates if pattern.fullmatch(there)), None)
        assert found is not None, f"{step}\nprinted\n{got}\nand not\n{expected}"
        left.remove(found)


def test_both_readmes_have_the_same_steps_and_print_the_same():
    assert blocks("README.md") == blocks("README.ko.md")
    assert len(blocks("README.md")) >= 7


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readme_names_the_two_commands_and_ci_runs_what_it_says(readme):
    text = (ROOT / readme).read_text("utf-8")
    for command in ("make run", "make test", "make check test"):
        assert f"\n```sh\n{command}\n```\n" in text
    assert "command='make check test'\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readme_points_only_to_what_is_there(readme):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / readme).read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
