"""A short run of the laboratory itself: two seeds, each with another part of the deck. Long ones: `make faults`.

In each of them members come and go, and at least one group becomes large.
"""

import pytest
from faultlab.scenario import Plan, run

SECONDS = 7
PARTS = {
    1: ("sqlite", {"kill -9", "fail", "full", "clock", "second server", "SIG"}),
    4: (
        "postgresql",
        {"PostgreSQL", "takes over", "cut", "passes", "half-open", "storm", "slow", "torn", "delay"},
    ),
}


@pytest.mark.functional
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", PARTS)
def test_nothing_is_lost_and_nothing_comes_twice_whatever_dies(seed, tmp_path):
    database, only = PARTS[seed]
    # A busy machine may be slow to take over; `make faults` holds a standby to its five seconds.
    plan = Plan(
        seed,
        SECONDS,
        tmp_path,
        database,
        longest_s=1.2,
        pace_s=0.25,
        changes_s=0.3,
        takeover_s=60.0,
        only=frozenset(only),
    )
    report = run(plan)
    told = "\n".join(f"{rule}: {detail}" for rule, detail in report.violations)
    again = f"make faults SECONDS={SECONDS} SEED={seed} ARGS='--database {database}'"
    assert not report.violations, f"{told}\nrepeat: {again}; logs: {tmp_path}"
    assert sum(report.injected.values()) >= 2, report.injected
    assert report.switches >= 1, report.changes
    assert report.room_entries >= 1
    assert report.stored >= 50
    assert report.delivered >= report.stored
