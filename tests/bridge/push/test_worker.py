"""Leases, order, pauses and ends: what the worker promises whatever services and other workers do."""

import asyncio
from collections import Counter

import pytest
from push_world import FakeService
from sqlalchemy import text

from bridge.push.busy import Limits
from bridge.push.policy import MAX_TRIES
from bridge.push.ports import Gone, Refused, Sent, SubscribeAgain, TryLater
from bridge.push.worker import LEASE_S
from pabal.errors import Unavailable

DIRECT = "alice~bob"
LEASE_MS = round(LEASE_S * 1000)


def answering(*outcomes):
    """One after the other, and the last one for ever."""
    left = list(outcomes)
    return lambda _subscription, _notification: left.pop(0) if len(left) > 1 else left[0]


async def many(push, count: int) -> None:
    """Devices of bob, subscribed, with something to be told each."""
    for number in range(count):
        push.add_device("bob", f"d{number}")
        await push.subscribe(device=f"d{number}")
    await push.said("hi")


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_two_workers_never_send_one_job_twice(push):
    await many(push, 30)
    workers = [push.worker(limits=Limits(4, 4)) for _ in range(3)]
    for worker in workers:
        await worker.start()
    for number in range(5):
        await push.said(f"again {number}")
    await until(lambda: not push.count_due())
    for worker in workers:
        await worker.stop()
    told = Counter(notification.push_id for _to, notification in push.service.sent)
    assert set(told.values()) == {1}
    assert {to.device for to, _notification in push.service.sent} == {f"d{number}" for number in range(30)}


async def test_what_a_worker_was_sending_when_it_died_is_in_doubt_and_the_rest_goes_on(push):
    await many(push, 4)
    push.service.hold = asyncio.Event()
    dying = push.worker(limits=Limits(2, 2))
    await dying.start()
    await push.service.until(lambda: len(push.service.sent) == 2)
    await kill(push, dying)
    push.service.hold.set()
    told = await push.pushed()
    assert len(told) == 2  # the two lanes that nobody had
    lost = {to.device for to, _notification in push.service.sent[:2]}
    await push.said("more")
    assert len(await push.pushed()) == 2  # the others are still leased
    push.clock.now += LEASE_MS
    assert len(await push.pushed()) == 2  # of each only what came later
    states = Counter((message_id, state) for _kind, message_id, state, _answer in push.jobs())
    assert states == {(1, "sent"): 2, (1, "in_doubt"): 2, (2, "sent"): 4}
    again = Counter((to.device, n.message_id) for to, n in push.service.sent if to.device in lost)
    assert set(again.values()) == {1}
    dead = push.store.dead(before_ts=2**53, limit=10)
    assert {one.reason for one in dead} == {"the worker ended while it was being sent"}


async def test_an_answer_that_comes_after_the_lease_is_still_written_down(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    slow = push.worker()
    await slow.start()
    await push.service.until(lambda: push.service.under_way == 1)
    push.clock.now += LEASE_MS
    other = push.worker()
    await other.start()
    await until(lambda: push.jobs()[0][2] == "in_doubt")
    push.service.hold.set()
    await until(lambda: push.jobs()[0][2] == "sent")
    await slow.stop()
    await other.stop()
    assert len(push.service.sent) == 1


async def test_a_worker_that_lives_keeps_what_it_is_sending_for_as_long_as_it_takes(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    slow, other = push.worker(), push.worker()
    await slow.start()
    await push.service.until(lambda: push.service.under_way == 1)
    await other.start()
    for _ in range(4):
        until_before = leased_until(push)
        push.clock.now += LEASE_MS // 2
        await until(lambda before=until_before: leased_until(push) > before)
    push.service.hold.set()
    await until(lambda: push.jobs()[0][2] == "sent")
    await slow.stop()
    await other.stop()
    assert len(push.service.sent) == 1


async def test_one_device_is_told_in_order_also_after_failures(push):
    await push.subscribe()
    convs = []
    for number in range(4):
        convs.append(await push.group("bob"))
        await push.said(f"in group {number}", convs[-1])
    push.service.answer = answering(Sent("1"), TryLater("busy", 5), Sent("1"))
    await push.pushed()
    push.clock.now += 5_000
    await push.pushed()
    told = [notification.body for _to, notification in push.service.sent]
    assert told == [f"alice: in group {number}" for number in (0, 1, 1, 2, 3)]


async def test_so_many_tries_are_under_way_and_no_more_in_all_and_of_one_service(push):
    await many(push, 12)
    push.service.hold = asyncio.Event()
    worker = push.worker(limits=Limits(in_flight=10, per_service=3))
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 3)
    assert worker.figures.in_flight == 3
    push.service.hold.set()
    await until(lambda: not push.count_due())
    await worker.stop()
    assert push.service.most == 3
    assert worker.figures.sent["fake"] == 12


async def test_a_host_that_never_answers_leaves_others_of_its_service_their_share(push):
    for number in range(6):
        push.add_device("bob", f"slow{number}")
        push.add_device("bob", f"quick{number}")
        await push.subscribe(device=f"slow{number}", endpoint=f"https://Slow.example:8443/{number}")
        await push.subscribe(device=f"quick{number}", endpoint=f"https://quick.example/{number}")
    await push.said("hi")
    push.execute("UPDATE push_job SET due_ts = due_ts - 1 WHERE device_id LIKE 'slow%'")
    push.service.hold = asyncio.Event()
    push.service.holds = lambda to: to.device.startswith("slow")
    worker = push.worker(limits=Limits(in_flight=10, per_service=4, per_host=2))
    await worker.start()
    await until(lambda: Counter(state for *_, state, _answer in push.jobs())["sent"] == 6)
    assert push.service.under_way == 2
    assert [to.device[:4] for to, _n in push.service.sent].count("slow") == 2
    push.service.hold.set()
    await until(lambda: not push.count_due())
    await worker.stop()
    assert push.service.most <= 4
    assert len(push.service.sent) == 12


async def test_services_without_addresses_of_their_own_share_no_host(push):
    await many(push, 6)
    push.service.hold = asyncio.Event()
    worker = push.worker(limits=Limits(in_flight=10, per_service=4, per_host=2))
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 4)
    push.service.hold.set()
    await worker.stop()


async def test_a_worker_leaves_to_others_what_it_cannot_send(push):
    push.add_device("bob", "small")
    await push.subscribe(device="small")
    await push.subscribe()
    push.execute("UPDATE push_subscription SET service = 'mqtt' WHERE device_id = 'small'")
    await push.said("hi")
    apart = push.worker(leaves=["mqtt"])
    await apart.start()
    await until(lambda: [state for *_, state, _answer in push.jobs()].count("sent") == 1)
    await apart.stop()
    assert [state for *_, state, _answer in push.jobs()].count("queued") == 1
    wakes = FakeService()
    beside = push.worker(services={"fake": push.service, "mqtt": wakes})
    await beside.start()
    await until(lambda: not push.count_due())
    await beside.stop()
    assert [to.device for to, _n in wakes.sent] == ["small"]
    assert [state for *_, state, _answer in push.jobs()] == ["sent", "sent"]


async def test_retry_after_is_kept_to_exactly(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(TryLater("429", 7), Sent("201"))
    assert len(await push.pushed()) == 1
    push.clock.now += 6_999
    assert await push.pushed() == []
    push.clock.now += 1
    assert len(await push.pushed()) == 1
    assert push.service.sent[0][1].push_id == push.service.sent[1][1].push_id


async def test_a_service_that_wants_to_wait_for_years_is_asked_again_tomorrow(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(TryLater("429", 1e9), Sent("201"))
    await push.pushed()
    push.clock.now += 86_400_000
    await push.said("ho")
    assert [one.body for one in await push.pushed()] == ["ho"]


async def test_pauses_grow_and_an_answer_ends_them(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(TryLater("500"), TryLater("500"), TryLater("500"), Sent("201"))
    pauses = []
    while push.jobs()[0][2] != "sent":
        begin = push.clock.now
        while not await push.pushed():
            push.clock.now += 500
        pauses.append(push.clock.now - begin)
    assert pauses == [0, 1000, 2000, 4000]
    push.service.answer = answering(TryLater("500"), Sent("201"))
    await push.said("ho")
    await push.pushed()
    push.clock.now += 1000
    assert len(await push.pushed()) == 1


async def test_after_so_many_tries_a_job_is_a_dead_letter_and_the_next_goes_on(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(TryLater("503 Service Unavailable", 0.001))
    for _ in range(MAX_TRIES):
        await push.pushed()
        push.clock.now += 1
    (dead,) = push.store.dead(before_ts=2**53, limit=10)
    assert (dead.user, dead.device, dead.seq, dead.tries) == ("bob", "d", 1, MAX_TRIES)
    assert dead.reason == f"{MAX_TRIES} tries: 503 Service Unavailable"
    push.service.answer = answering(Sent("201"))
    await push.said("ho")
    assert [one.body for one in await push.pushed()] == ["ho"]


async def test_what_was_tried_until_its_time_was_over_is_a_dead_letter(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(TryLater("503", 86_400))
    await push.pushed()
    push.clock.now += 86_400_000
    assert await push.pushed() == []
    (dead,) = push.store.dead(before_ts=2**53, limit=10)
    assert dead.reason == "too late after 1 tries: 503"


async def test_a_push_that_is_refused_is_a_dead_letter_and_nothing_is_deleted(push):
    await push.subscribe()
    await push.said("hi")
    push.service.answer = answering(Refused("INVALID_ARGUMENT"), Sent("201"))
    await push.pushed()
    assert push.jobs() == [("message", 1, "dead", "refused: INVALID_ARGUMENT")]
    await push.said("ho")
    assert len(await push.pushed()) == 1


@pytest.mark.parametrize(
    ("outcome", "event", "there_is"),
    [(Gone("410"), "push_gone", False), (SubscribeAgain("401"), "push_again", True)],
)
async def test_the_end_of_a_subscription_is_told_once_and_nothing_more_goes_there(
    push, outcome, event, there_is
):
    push.add_device("bob", "desk")
    await push.subscribe(device="desk")
    await push.subscribe()
    conv = await push.group("bob")
    await push.said("hi", conv)
    await push.said("hi")
    ok = Sent("201")
    push.service.answer = lambda to, _n: ok if to.device == "desk" else outcome
    await push.pushed()
    await push.harness.broker.until(lambda: any(u["type"] == "system" for u in push.live("bob")))
    (told,) = [update for update in push.live("bob") if update["type"] == "system"]
    assert (told["event"], told["device"], told["service"]) == (event, "d", "fake")
    assert told["reason"].endswith(outcome.reason)
    await push.said("more")
    assert {to.device for to, _n in push.service.sent[3:]} <= {"desk"}
    await push.pushed()
    assert [to.device for to, _n in push.service.sent].count("d") == 1
    assert ("message", 1, "dropped", "unsubscribed") in push.jobs()
    if there_is:
        assert (await push.ok("bob", {"op": "push.get"}))["ended"] is True
    else:
        assert await push.refused("bob", {"op": "push.get"}) == ("not_found", "device")
    assert any(update["type"] == "system" for update in await push.synced("bob"))
    await push.subscribe()
    push.service.answer = answering(ok)
    await push.said("back")
    await push.pushed()
    assert [to.device for to, _n in push.service.sent].count("d") == 2


async def test_a_subscription_made_anew_while_the_old_one_ended_stays(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    push.service.answer = answering(Gone("410"))
    worker = push.worker()
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 1)
    push.clock.now += 1
    await push.subscribe(token="new")
    push.service.hold.set()
    await until(lambda: push.jobs()[0][2] == "dead")
    await worker.stop()
    push.service.answer = answering(Sent("201"))
    await push.said("ho")
    assert len(await push.pushed()) == 1
    assert push.service.sent[-1][0].target == {"token": "new"}


async def test_a_service_that_breaks_its_word_is_one_devices_trouble(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    await push.subscribe(device="desk")
    await push.said("hi")

    def answer(to, _notification):
        if to.device == "desk":
            raise RuntimeError("broken")
        return Sent("201")

    push.service.answer = answer
    await push.pushed()
    assert {(state, text) for *_, state, text in push.jobs()} == {
        ("sent", "201"),
        ("dead", "refused: fake failed: RuntimeError"),
    }


async def test_a_service_that_never_answers_is_tried_again_later(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    await push.pushed(send_s=0.05)
    assert push.jobs() == [("message", 1, "queued", "no answer within 0.05 s")]
    assert push.service.under_way == 0


async def test_a_service_that_is_offered_no_longer_makes_dead_letters(push):
    await push.subscribe()
    await push.said("hi")
    push.execute("UPDATE push_subscription SET service = 'pigeon'")
    assert await push.pushed() == []
    assert push.jobs()[0][2:] == ("dead", "refused: this server does not offer 'pigeon'")


async def test_after_an_outage_of_a_minute_nothing_is_left(push):
    await many(push, 10)
    push.service.answer = answering(TryLater("connection refused"))
    over = push.clock.now + 60_000
    while push.clock.now < over:
        await push.pushed()
        push.clock.now += 5_000
    push.service.answer = answering(Sent("201"))
    for _ in range(20):
        await push.pushed()
        push.clock.now += 5_000
    assert push.store.depth().jobs == 0
    assert Counter(state for *_, state, _answer in push.jobs()) == {"sent": 10}


async def test_what_is_under_way_is_brought_to_its_end_when_a_worker_stops(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    worker = push.worker()
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 1)
    stopping = asyncio.create_task(worker.stop())
    await push.said("later")
    await asyncio.sleep(0)
    push.service.hold.set()
    await stopping
    assert [state for *_, state, _answer in push.jobs()] == ["sent", "queued"]
    assert len(await push.pushed()) == 1  # its lane was free at once


async def test_a_stop_has_a_bound_and_what_is_not_done_then_is_in_doubt(push):
    await push.subscribe()
    await push.said("hi")
    push.service.hold = asyncio.Event()
    worker = push.worker()
    await worker.start()
    await push.service.until(lambda: push.service.under_way == 1)
    await worker.stop(timeout_s=0.05)
    assert push.service.under_way == 0
    push.clock.now += LEASE_MS
    await push.pushed()
    assert [state for *_, state, _answer in push.jobs()] == ["in_doubt"]


async def test_a_worker_waits_for_a_database_that_is_away_and_goes_on(push, caplog):
    await push.subscribe()
    await push.said("hi")
    real, times = push.store.take, 0

    def take(*given):
        nonlocal times
        times += 1
        if times == 1:
            raise Unavailable("away", retry_after=1)
        return real(*given)

    push.store.take = take
    assert len(await push.pushed()) == 1
    assert [record.message for record in caplog.records if "pushes" in record.message] == [
        "pushes wait for the database: away; trying again",
        "pushes go on",
    ]


async def test_a_worker_that_is_woken_need_not_look(push, monkeypatch):
    await push.subscribe()
    found, look = [], push.store.waiting
    monkeypatch.setattr(push.store, "waiting", lambda *asked: found.append(look(*asked)) or found[-1])
    worker = push.worker(poll_s=1000)
    push.harness.bridge.on_pushed(worker.wake)
    await worker.start()
    async with asyncio.timeout(60):
        while not found:
            await asyncio.sleep(0.001)
    assert found == [[]], "it has looked, and will not again by itself"
    await push.said("hi")
    await push.service.until(lambda: len(push.service.sent) == 1)
    await worker.stop()


async def test_workers_of_other_processes_are_rung_when_there_is_something_for_them(push, monkeypatch):
    rung = []
    monkeypatch.setattr(push.harness.bridge._bell, "pushes", lambda: rung.append(1), raising=False)
    await push.said("nobody has subscribed")
    assert rung == []
    await push.subscribe()
    await push.said("hi")
    assert rung == [1]


async def test_the_depth_is_that_of_open_jobs(push):
    assert push.store.depth() == (0, None)
    await push.subscribe()
    await push.said("hi")
    assert push.store.depth() == (1, push.clock.now)
    await push.pushed()
    assert push.store.depth() == (0, None)


def leased_until(push) -> int:
    with push.engine.connect() as connection:
        return connection.execute(text("SELECT max(leased_until) FROM push_subscription")).scalar_one()


async def kill(push, worker) -> None:
    """As SIGKILL would: nothing more is written down."""
    push.dead.add(worker._name)
    worker._stopping = True
    tasks = [*worker._sending, worker._task]
    worker._results = []
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    worker._thread.shutdown()
