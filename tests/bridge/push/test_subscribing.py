"""How devices subscribe, what is refused, and what goes when accounts, devices and logins do."""

import asyncio

import pytest
from sqlalchemy import text

from bridge.commands import ForgetPushes
from bridge.push.zones import minute_of_day
from bridge.store.accounts import AccountStore
from bridge.store.engine import open_engine

HOURS = {"from": "22:00", "to": "07:00", "tz": "Asia/Seoul"}
TABLES = ("push_subscription", "push_job", "push_log", "push_shown", "push_asked", "quiet_hours")


def counts(push, user: str = "bob") -> dict[str, int]:
    with push.engine.connect() as connection:
        return {
            table: connection.execute(
                text(f"SELECT count(*) FROM {table} WHERE user_id = :user"), {"user": user}
            ).scalar_one()
            for table in TABLES
        }


async def test_a_subscription_is_shown_without_what_is_secret(push):
    await push.subscribe(preview="sender", lang="en", quiet=HOURS, secret="s3cret")
    shown = await push.ok("bob", {"op": "push.get"})
    assert {name: value for name, value in shown.items() if name not in {"re", "ok"}} == {
        "device": "d",
        "service": "fake",
        "preview": "sender",
        "lang": "en",
        "quiet": HOURS,
        "since": push.clock.now,
        "ended": False,
    }


async def test_a_later_subscription_takes_the_place_of_the_one_before(push):
    await push.subscribe(token="one", preview="none")
    await push.subscribe(token="two")
    await push.said("hi")
    (told,) = await push.pushed()
    assert told.body == "hi"
    assert push.service.sent[0][0].target == {"token": "two"}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"service": "pigeon"}, ("bad_request", "service")),
        ({"service": ""}, ("bad_request", "service")),
        ({"token": "bad"}, ("bad_request", "token")),
        ({"token": 1}, ("bad_request", "token")),
        ({"keys": []}, ("bad_request", "keys")),
        ({"preview": "some"}, ("bad_request", "preview")),
        ({"lang": "fr"}, ("bad_request", "lang")),
        ({"quiet": {**HOURS, "tz": "Asia/Pyongchang"}}, ("bad_request", "quiet.tz")),
        ({"quiet": {**HOURS, "tz": "../../etc/passwd"}}, ("bad_request", "quiet.tz")),
        ({"quiet": {**HOURS, "from": "22"}}, ("bad_request", "quiet.from")),
        ({"token": "x" * 20_000}, ("bad_request", "token")),
        ({"device": "other"}, ("forbidden", "device")),
        ({"device": "no/name"}, ("bad_request", "device")),
    ],
)
async def test_what_is_wrong_with_a_subscription_is_named_and_nothing_is_kept(push, fields, refusal):
    await push.subscribe(device="d")
    before = await push.ok("bob", {"op": "push.get"})
    asked = {"op": "push.set", "service": "fake", "token": "t", **fields}
    code, field = await push.refused("bob", asked)
    assert (code, field.removeprefix("$.")) == refusal
    assert (await push.ok("bob", {"op": "push.get"}))["since"] == before["since"]


async def test_a_device_that_is_not_there_cannot_subscribe(push):
    asked = {"op": "push.set", "service": "fake", "token": "t"}
    assert await push.refused("bob", asked, device="ghost") == ("not_found", "device")
    await push.ok("bob", asked)


async def test_a_server_without_push_says_so(talk):
    assert await talk.refused("bob", {"op": "push.set"}) == ("bad_request", "service")


@pytest.mark.parametrize(
    "op", ["push.set", "push.remove", "push.get", "quiet.set", "quiet.remove", "quiet.get"]
)
async def test_a_device_that_only_sends_has_nothing_to_ask(push, op):
    asked = {"op": op, **({"hours": HOURS} if op == "quiet.set" else {})}
    refused = await push.refused("bob", asked, allow=frozenset({"send"}))
    assert refused[0] == "forbidden"


async def test_a_device_asks_about_itself_alone(push):
    push.add_device("bob", "desk")
    await push.subscribe()
    for op in ("push.get", "push.remove"):
        assert await push.refused("bob", {"op": op, "device": "d"}, device="desk") == ("forbidden", "device")
        await push.ok("bob", {"op": op, "device": "d"})


async def test_quiet_hours_are_shown_and_only_for_ones_own_conversations(push):
    conv = await push.group("bob")
    await push.said("hi")
    for asked in ({}, {"conv": conv}, {"conv": "alice~bob"}):
        await push.ok("bob", {"op": "quiet.set", "hours": HOURS, **asked})
    shown = await push.ok("bob", {"op": "quiet.get"})
    assert (shown["quiet"], shown["conversations"]) == (HOURS, {conv: HOURS, "alice~bob": HOURS})
    await push.ok("bob", {"op": "quiet.remove", "conv": conv})
    assert set((await push.ok("bob", {"op": "quiet.get"}))["conversations"]) == {"alice~bob"}
    for user, where, code in (
        ("carol", conv, "not_a_member"),
        ("carol", "alice~bob", "not_a_member"),
        ("bob", "bob~carol", "not_found"),
        ("bob", "nonsense", "bad_request"),
    ):
        refused = await push.refused(user, {"op": "quiet.set", "hours": HOURS, "conv": where})
        assert refused == (code, "conv")
    assert await push.refused("bob", {"op": "quiet.set"}) == ("bad_request", "hours")
    bad = {**HOURS, "tz": "Mars/Olympus"}
    assert await push.refused("bob", {"op": "quiet.set", "hours": bad}) == ("bad_request", "hours.tz")


@pytest.mark.parametrize(
    ("zone", "ms", "minute"),
    [
        ("Asia/Seoul", 0, 9 * 60),
        ("UTC", 60_000, 1),
        # In Berlin clocks went from 02:00 to 03:00 on 2026-03-29, and back from 03:00 to 02:00 on 2026-10-25.
        ("Europe/Berlin", 1_774_745_940_000, 119),
        ("Europe/Berlin", 1_774_746_000_000, 180),
        ("Europe/Berlin", 1_792_889_940_000, 179),
        ("Europe/Berlin", 1_792_890_000_000, 120),
        ("Gone/Zone", 60_000, 1),
    ],
)
def test_the_time_of_day_is_that_of_the_zone_also_when_clocks_are_changed(zone, ms, minute):
    assert minute_of_day(zone, ms) == minute


def state_of(push) -> str:
    with push.engine.connect() as connection:
        return connection.execute(text("SELECT state FROM account WHERE user_id = 'bob'")).scalar_one()


async def everything(push) -> None:
    """Bob has something in each of the tables."""
    await push.subscribe()
    await push.ok("bob", {"op": "quiet.set", "hours": HOURS})
    await push.said("hi")
    await push.ok("alice", {"op": "contact.request", "user": "bob"})
    await push.pushed()
    await push.said("ho")
    assert 0 not in counts(push).values()


async def test_what_is_pushed_to_a_device_goes_with_it(push, url):
    await everything(push)
    accounts = AccountStore(open_engine(url), open_engine(url))
    with accounts.writing() as tx:
        tx.delete_device("bob", "d")
    accounts.close()
    assert {table for table, count in counts(push).items() if count} == {"quiet_hours"}


async def test_what_is_pushed_to_an_account_goes_with_it(push, url):
    await everything(push)
    accounts = AccountStore(open_engine(url), open_engine(url))
    with accounts.writing() as tx:
        tx.empty_account("bob")
        tx.delete_devices("bob")
        tx.gone("bob", None, 0)
    accounts.close()
    await push.harness.broker.until(lambda: any(name == "bob" for name, _d in push.harness.broker.forgotten))
    async with asyncio.timeout(60):
        while state_of(push) != "deleted":
            await asyncio.sleep(0.02)
    assert set(counts(push).values()) == {0}


async def test_what_became_of_pushes_is_forgotten_in_time_and_what_nobody_sends_is_dropped(push):
    await push.subscribe()
    await push.said("hi")
    await push.pushed()
    await push.said("ho")
    commit, now = push.harness.bridge.relay.commit, push.clock.now
    assert await commit(ForgetPushes(now, now, 10)) == 0
    assert [state for *_, state, _answer in push.jobs()] == ["sent", "queued"]
    assert await commit(ForgetPushes(now, now + 1, 10)) == 1
    assert push.jobs()[1][2:] == ("dropped", "nobody sent it in time")
    assert await commit(ForgetPushes(now + 1, now + 1, 1)) == 1
    assert await commit(ForgetPushes(now + 1, now + 1, 10)) == 1
    assert push.jobs() == []
