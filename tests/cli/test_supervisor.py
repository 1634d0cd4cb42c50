import asyncio
import contextlib
import json
import os
import sys

import pytest

from cli.supervisor import ChildFailed, Patience, Supervisor

# Writes its pid, and what it was told, and then does as it was told.
CHILD = """
import json, os, signal, subprocess, sys, time
task = json.loads(sys.stdin.readline())
with open(task["seen"], "a") as file:
    file.write(f"{os.getpid()}\\n")
if task.get("fails"):
    sys.exit(7)
if task.get("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if task.get("grandchild"):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(task["seen"] + ".ready", "w").close()
sys.stdin.read()
"""
QUICK = Patience(start=60, stop=0.2, first_pause=0.01, longest_pause=0.02, restarts=2, within=600)


class House:
    def __init__(self, tmp_path):
        self.seen = tmp_path / "seen"
        self.marker = tmp_path / "seen.ready"

    def supervisor(self, patience=QUICK, ready=None, **task):
        line = json.dumps({"seen": str(self.seen), **task}).encode()
        return Supervisor([sys.executable, "-c", CHILD], line, ready=ready or self.ready, patience=patience)

    async def ready(self):
        await until(self.marker.exists)

    def pids(self):
        return [int(line) for line in self.seen.read_text().split()] if self.seen.exists() else []


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def test_start_returns_when_the_child_is_ready_and_stop_when_it_is_gone(house):
    child = house.supervisor()
    await child.start()
    assert house.pids() == [child.pid]
    assert alive(child.pid)
    await child.stop()
    assert not alive(child.pid)


async def test_a_child_that_ends_before_it_is_ready_fails_the_start_with_its_code(house):
    child = house.supervisor(fails=True)
    with pytest.raises(ChildFailed, match="ended with code 7 before it was ready"):
        await child.start()
    await child.stop()
    assert len(house.pids()) == 1


async def test_a_child_that_never_gets_ready_fails_the_start_and_is_gone(house):
    child = house.supervisor(patience=Patience(start=0.5, stop=5), ready=asyncio.Event().wait)
    with pytest.raises(ChildFailed, match=r"was not ready within 0\.5 s"):
        await child.start()
    assert not alive(child.pid)
    await child.stop()


async def test_a_child_that_dies_is_started_again(house):
    child = house.supervisor()
    await child.start()
    first = child.pid
    house.marker.unlink()
    os.kill(first, 9)
    await until(lambda: child.pid != first and house.marker.exists())
    assert alive(child.pid)
    await child.stop()
    assert not any(alive(pid) for pid in house.pids())


async def test_a_child_that_dies_too_often_is_given_up(house):
    child = house.supervisor()
    await child.start()

    async def assassinate():
        known = 0
        while True:
            await until(lambda known=known: len(house.pids()) > known)
            known = len(house.pids())
            with contextlib.suppress(ProcessLookupError):
                os.kill(house.pids()[-1], 9)

    assassin = asyncio.create_task(assassinate())
    with pytest.raises(ChildFailed, match="died 3 times in 600 s"):
        await child.given_up()
    assassin.cancel()
    await asyncio.gather(assassin, return_exceptions=True)
    assert len(house.pids()) == 1 + QUICK.restarts
    await child.stop()


async def test_a_child_that_does_not_stop_is_killed_within_the_bound(house):
    child = house.supervisor(stubborn=True)
    await child.start()
    await child.stop()
    assert not alive(child.pid)


async def test_stop_during_a_pause_before_a_restart_leaves_nothing_behind(house):
    child = house.supervisor(patience=Patience(first_pause=600, longest_pause=600))
    await child.start()
    os.kill(child.pid, 9)
    await until(lambda: not alive(child.pid))
    await child.stop()
    assert len(house.pids()) == 1


async def test_what_the_child_started_goes_with_it(house):
    child = house.supervisor(grandchild=True)
    await child.start()
    group = child.pid
    os.killpg(group, 0)
    await child.stop()
    await until(lambda: not _group_exists(group))


def _group_exists(group):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False
