"""The tour of the README, in both languages, does and prints what it says."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from readme_tour import ROOT, TOOLS, Place, steps, walk

TOUR_S = 400


@pytest.mark.skipif(
    not os.environ.get("CI") and any(shutil.which(tool) is None for tool in TOOLS),
    reason=f"the tour is for people who have {', '.join(TOOLS)}",
)
@pytest.mark.functional
@pytest.mark.timeout(TOUR_S + 90)
@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_tour_prints_what_the_readme_says(readme, server, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PABAL_SERVER"] = f"http://127.0.0.1:{server.http}"
    environment["TMPDIR"] = str(tmp_path)
    place = Place(f"http://127.0.0.1:{server.http}", f"-h 127.0.0.1 -p {server.mqtt}")
    walk(steps(readme), place, environment, TOUR_S)


def test_both_readmes_have_the_same_steps_and_print_the_same():
    assert steps("README.md") == steps("README.ko.md")
    assert len(steps("README.md")) >= 7


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
