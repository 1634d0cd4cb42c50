"""The bench runs. How much it measures is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "run.py"
PARTS = [
    "flat", "sync, page by page", "client library, new device", "plain persistent session", "steady", "chart",
    "groups", "large", "groups100", "reading and typing", "page of 100, in the process", "page of 200, in the process",
    "page of 100, over HTTP", "page of 200, over HTTP", "serve, offered", "serve, closed",
    "pushes", "after 1 s of outage",
]  # fmt: skip


@pytest.mark.functional
@pytest.mark.timeout(600)
def test_every_part_runs_and_nothing_is_lost():
    done = subprocess.run(
        [sys.executable, str(BENCH), "smoke"], capture_output=True, text=True, timeout=590, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [figures["part"] for figures in found] == PARTS
    sent = {figures["part"]: figures["sent"] for figures in found if "sent" in figures}
    assert all(sent.values()), sent
    assert set(sent) == {"steady", "groups", "large", "groups100", *PARTS[-4:]}
