"""Ready means: it serves, and whatever it needs is there."""

import asyncio
import threading

from cli.roles.health import Answering, Health, Phase, that
from pabal.errors import Unavailable


async def test_only_who_serves_is_ready_and_only_while_every_condition_holds():
    health, missing = Health(), set()
    health.require(that(lambda: "lease" not in missing, "no lease"))
    health.require(that(lambda: "database" not in missing, "no database"))
    for phase in Phase:
        health.phase = phase
        assert await health.why_not() == (None if phase is Phase.SERVING else phase.value)
    health.phase = Phase.SERVING
    missing.add("database")
    assert await health.why_not() == "no database"
    missing.add("lease")
    assert await health.why_not() == "no lease"
    missing.clear()
    assert await health.why_not() is None


async def test_a_question_that_hangs_costs_one_thread_and_is_answered_in_time():
    going_on, asked = threading.Event(), []

    def ping():
        asked.append(1)
        assert going_on.wait(60)

    answering = Answering(ping, "no answer", answer_s=0.05)
    assert await asyncio.gather(*(answering() for _ in range(20))) == ["no answer"] * 20
    assert asked == [1]
    going_on.set()
    while await answering() is not None:
        await asyncio.sleep(0.01)


async def test_a_question_that_fails_is_asked_again():
    answers = [Unavailable("away"), None]

    def ping():
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    answering = Answering(ping, "no answer")
    assert await answering() == "no answer"
    assert await answering() is None
