"""The named points stand where they say: what is stored, answered and published when each is reached."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from bridge_fakes import FakeBroker, FakeTicket
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bridge.build import Bridge
from bridge.ports import Source
from bridge.store.engine import open_engine
from bridge.store.faults import NO_FAULTS, POINTS, Armed, NoFaults
from pabal.codec import Format
from pabal.ids import DeviceId, UserId

SEND = b'{"id":"1","to":"bob","text":"hi"}'


class Watching(NoFaults):
    """Looks at the world whenever a point is reached."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.look = look
        self.seen: dict[str, list[object]] = {point: [] for point in POINTS}

    def reach(self, point: str) -> None:
        self.seen[point].append(self.look())


async def test_each_point_is_reached_where_its_name_says(url):
    broker, ticket, outside = FakeBroker(), FakeTicket(), open_engine(url, read_only=True)

    def look() -> tuple[int, int, int, int]:
        with outside.connect() as connection:
            messages = connection.execute(text("SELECT count(*) FROM direct_message")).scalar_one()
            outbox = connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()
        return messages, outbox, len(broker.published) + len(ticket.settled), len(broker.inboxes)

    faults = Watching(look)
    bridge = Bridge(url, faults=faults)
    await bridge.start(broker)
    bridge.relay.submit(Source(UserId("alice"), DeviceId("d")), SEND, Format.JSON, ticket)
    await broker.until(lambda: len(broker.inboxes) == 2)
    await bridge.stop()
    outside.dispose()
    stored_outbox_answers_inboxes = {point: seen[0] for point, seen in faults.seen.items()}
    assert stored_outbox_answers_inboxes == {
        "before_commit": (0, 0, 0, 0),
        "after_commit": (1, 1, 0, 0),
        "before_reply": (1, 1, 0, 0),
        "before_publish": (1, 1, 2, 0),
        "before_outbox_delete": (1, 1, 2, 2),
    }


async def test_a_commit_that_fails_stores_nothing_and_says_unavailable(url):
    broker, ticket = FakeBroker(), FakeTicket()
    bridge = Bridge(url, faults=Armed("fail:before_commit:1:1000"))
    await bridge.start(broker)
    bridge.relay.submit(Source(UserId("alice"), DeviceId("d")), SEND, Format.JSON, ticket)
    await broker.until(lambda: bool(broker.published))
    await bridge.stop()
    assert b'"unavailable"' in broker.published[0][1]
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM direct_message")).scalar_one() == 0
    engine.dispose()


@pytest.mark.parametrize("point", POINTS)
def test_an_armed_point_kills_the_process_the_nth_time_and_no_other_does(point):
    other = POINTS[POINTS.index(point) - 1]
    script = (
        "from bridge.store.faults import Armed\n"
        f"armed = Armed('kill:{point}:3')\n"
        f"for n in range(5): armed.reach('{other}')\n"
        f"for n in range(5): armed.reach('{point}'); print(n, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (-9, "0\n1\n"), done.stderr


def test_failures_begin_and_end_where_they_were_told_to():
    armed = Armed("fail:before_commit:2:2")
    failed = []
    for _ in range(5):
        try:
            armed.reach("before_commit")
        except OperationalError as error:
            failed.append(str(error.orig))
        else:
            failed.append("")
    assert [bool(text) for text in failed] == [False, True, True, False, False]


def test_the_clock_is_shifted_by_what_its_file_says(tmp_path):
    armed, file = Armed(f"clock:{tmp_path / 'clock'}"), tmp_path / "clock"
    assert abs(armed.now_ms() - NO_FAULTS.now_ms()) < 60_000
    file.write_text("-86400000")
    assert 86_340_000 < NO_FAULTS.now_ms() - armed.now_ms() < 86_460_000
    file.write_text("")
    assert abs(armed.now_ms() - NO_FAULTS.now_ms()) < 60_000


@pytest.mark.parametrize(
    "wrong",
    ["", "kill", "kill:before_commit", "kill:nowhere:1", "kill:before_commit:0", "kill:before_commit:x",
     "fail:before_commit:1", "fail:after_commit:1:1", "fail:before_commit:1:-1", "clock:", "dance:1"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011 -- either of two sentences, both for people
        Armed(f"kill:before_commit:1,{wrong}")
    Armed("kill:before_commit:1")
