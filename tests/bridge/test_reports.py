"""Reports to moderators, with a copy of the message that they are about."""

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import func, select, update

from bridge import report_rules
from bridge.build import Bridge
from bridge.store.faults import NoFaults
from bridge.store.tables import account, report
from pabal import messages as m
from pabal.acl import RECEIVE, SEND


class Clock(NoFaults):
    """Stands still until it is set."""

    ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def harness(url, clock):
    bridge, broker = Bridge(url, faults=clock), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def tell(harness: Harness, who: str, id_: str = "r", /, **fields) -> dict:
    return await harness.ask(who, {"op": "report", "id": id_, "reason": "spam", **fields})


def kept(harness: Harness) -> list[dict]:
    found, more = harness.bridge.reads.people.reports(0, 100)
    assert more is False
    return msgspec.json.decode(msgspec.json.encode(found))


async def test_a_message_is_kept_as_it_was_when_it_was_reported(harness, clock):
    sent = await harness.ask(
        "bob", {"id": "m", "to": "alice", "text": "buy", "body": {"link": 1}, "kind": "offer"}
    )
    about = {"conv": "alice~bob", "message_id": 1}
    assert await tell(harness, "alice", **about, text="every day") == {
        "re": "r", "ok": True, "report": 1, "dup": False,
    }  # fmt: skip
    await harness.ask("bob", {"op": "edit", "id": "e", "conv": "alice~bob", "target": 1, "text": "hello"})
    await harness.ask("bob", {"op": "recall", "id": "x", "conv": "alice~bob", "target": 1})
    assert kept(harness) == [
        {
            "report": 1, "ts": clock.ms, "reporter": "alice", "user": "bob", **about, "reason": "spam",
            "text": "every day",
            "content": {"from": "bob", "kind": "offer", "ts": sent["ts"], "text": "buy", "body": {"link": 1}},
        }
    ]  # fmt: skip
    # Nobody else hears of it.
    assert [update["type"] for _seq, update in harness.broker.inboxes["bob"]] == [
        "message", "edited", "recalled",
    ]  # fmt: skip


async def test_the_newest_text_is_copied_and_of_a_recalled_message_that_it_was(harness):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "first"})
    await harness.ask("bob", {"op": "edit", "id": "e", "conv": "alice~bob", "target": 1, "text": "second"})
    await tell(harness, "alice", conv="alice~bob", message_id=1)
    await harness.ask("bob", {"id": "n", "to": "alice", "text": "third"})
    await harness.ask("bob", {"op": "recall", "id": "x", "conv": "alice~bob", "target": 3})
    await tell(harness, "alice", "r2", conv="alice~bob", message_id=3)
    contents = [one["content"] for one in kept(harness)]
    assert contents[0]["text"] == "second"
    assert ("text" in contents[1], contents[1]["recalled"]) == (False, True)


async def test_a_user_is_reported_without_any_message(harness):
    assert (await tell(harness, "alice", user="bob"))["report"] == 1
    [one] = kept(harness)
    assert (one["user"], one["reporter"]) == ("bob", "alice")
    assert not {"conv", "message_id", "content", "text"} & set(one)


@pytest.mark.parametrize("about", [{"user": "bob"}, {"conv": "alice~bob", "message_id": 1}])
async def test_the_same_report_twice_is_one(harness, about):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    assert await tell(harness, "alice", **about) == {"re": "r", "ok": True, "report": 1, "dup": False}
    assert await tell(harness, "alice", **about) == {"re": "r", "ok": True, "report": 1, "dup": True}
    again = await tell(harness, "alice", "r2", **about, text="again", reason="abuse")
    assert (again["report"], again["dup"]) == (1, True)
    [one] = kept(harness)
    assert one["reason"] == "spam"


async def test_the_same_report_twice_in_a_batch_is_one(harness):
    for id_ in ("1", "2"):
        ticket = harness.submit("alice", {"op": "report", "id": id_, "user": "bob", "reason": "spam"})
    await harness.settled(ticket)
    assert [(reply["report"], reply["dup"]) for reply in harness.replies("alice")] == [(1, False), (1, True)]


async def test_reports_of_a_user_and_of_a_message_and_by_others_are_their_own(harness):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    numbers = [
        (await tell(harness, "alice", "1", user="bob"))["report"],
        (await tell(harness, "alice", "2", conv="alice~bob", message_id=1))["report"],
        (await tell(harness, "alice", "3", user="carol"))["report"],
        (await tell(harness, "carol", "4", user="bob"))["report"],
    ]
    assert numbers == [1, 2, 3, 4]


@pytest.mark.parametrize("small_limit", [100, 2], ids=["small", "large"])
async def test_of_a_group_only_what_one_sees_is_reported(url, clock, small_limit):
    bridge, broker = Bridge(url, faults=clock, small_limit=small_limit), FakeBroker()
    await bridge.start(broker)
    harness = Harness(bridge, broker)
    members = ["carol"] if small_limit > 2 else ["carol", "bob"]
    made = await harness.ask("alice", {"op": "group.create", "id": "g", "name": "g", "members": members})
    conv = made["conv"]
    if "bob" in members:
        await harness.ask("bob", {"op": "group.leave", "id": "l", "conv": conv})
    before = await harness.ask("alice", {"id": "m1", "conv": conv, "text": "before"})
    about = {"conv": conv, "message_id": before["message_id"]}
    assert (await tell(harness, "bob", **about))["error"] == "not_a_member"
    await harness.ask("alice", {"op": "group.add", "id": "a", "conv": conv, "user": "bob"})
    # From before one's time: as if it were not there.
    assert (await tell(harness, "bob", **about))["error"] == "not_found"
    after = await harness.ask("alice", {"id": "m2", "conv": conv, "text": "after"})
    assert (await tell(harness, "bob", conv=conv, message_id=after["message_id"]))["ok"] is True
    assert (await tell(harness, "carol", **about))["ok"] is True
    assert [one["content"]["text"] for one in kept(harness)] == ["after", "before"]
    await bridge.stop()


@pytest.mark.parametrize(
    ("fields", "error", "detail"),
    [
        ({}, "bad_request", "conv: "),
        ({"conv": "alice~bob"}, "bad_request", "message_id: "),
        ({"user": "bob", "conv": "alice~bob", "message_id": 1}, "bad_request", "user: "),
        ({"user": "bob", "message_id": 1}, "bad_request", "user: "),
        ({"user": "alice"}, "bad_request", "user: "),
        ({"user": "nobody"}, "not_found", "user: "),
        ({"conv": "alice~bob", "message_id": 2}, "not_found", "message_id: "),
        ({"conv": "alice~bob", "message_id": 0}, "bad_request", "message_id: "),
        ({"conv": "alice~carol", "message_id": 1}, "not_found", "conv: "),
        ({"conv": "bob~carol", "message_id": 1}, "not_a_member", "conv: "),
        ({"conv": "gaaaaaaaaaaaa", "message_id": 1}, "not_found", "conv: "),
        ({"user": "bob", "reason": ""}, "bad_request", "reason: "),
        ({"user": "bob", "reason": "  "}, "bad_request", "reason: "),
        ({"user": "bob", "reason": "x" * 65}, "bad_request", "reason: "),
        ({"user": "bob", "reason": "a\0"}, "bad_request", "reason: "),
        ({"user": "bob", "text": "x" * 2001}, "bad_request", "text: "),
        ({"user": "bob", "text": "a\0"}, "bad_request", "text: "),
    ],
)
async def test_a_report_that_cannot_be_is_refused_and_says_why(harness, fields, error, detail):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    refused = await tell(harness, "alice", **fields)
    assert (refused["error"], refused["detail"][: len(detail)]) == (error, detail)
    assert kept(harness) == []


async def test_what_is_no_message_is_not_reported(harness):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    await harness.ask("bob", {"op": "react", "id": "+", "conv": "alice~bob", "target": 1, "emoji": "+"})
    assert (await tell(harness, "alice", conv="alice~bob", message_id=2))["error"] == "not_found"


async def test_a_message_of_whoever_is_gone_is_reported_and_a_user_who_is_gone_is_not(harness, engine):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    with engine.begin() as connection:
        connection.execute(update(account).where(account.c.user_id == "bob").values(state="deleted"))
    assert (await tell(harness, "alice", conv="alice~bob", message_id=1))["ok"] is True
    assert (await tell(harness, "alice", "r2", user="bob"))["error"] == "not_found"
    assert (await tell(harness, "bob", "r3", user="alice"))["error"] == "unauthorized"


async def test_a_block_keeps_nobody_from_reporting(harness):
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    await harness.ask("alice", {"op": "block.add", "id": "b", "user": "bob"})
    assert (await tell(harness, "alice", conv="alice~bob", message_id=1))["ok"] is True


async def test_there_is_a_bound_on_reports_a_day(harness, clock, engine, monkeypatch):
    monkeypatch.setattr(report_rules, "MAX_A_DAY", 2)
    assert (await tell(harness, "alice", "1", user="bob"))["ok"] is True
    clock.ms += 3_600_000
    assert (await tell(harness, "alice", "2", user="carol"))["ok"] is True
    await harness.ask("bob", {"id": "m", "to": "alice", "text": "x"})
    refused = await tell(harness, "alice", "3", conv="alice~bob", message_id=1)
    assert (refused["error"], refused["retry_after"]) == ("rate_limited", 23 * 3600)
    # The same again is no further one, and others have their own.
    assert (await tell(harness, "alice", "4", user="bob"))["dup"] is True
    assert (await tell(harness, "carol", "5", user="bob"))["ok"] is True
    clock.ms += 23 * 3_600_000
    assert (await tell(harness, "alice", "6", conv="alice~bob", message_id=1))["ok"] is True
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(report)).scalar_one() == 4


async def test_reports_come_in_pages_by_their_number(harness):
    for user in ("bob", "carol"):
        await tell(harness, "alice", user, user=user)
    reports = harness.bridge.reads.people.reports
    found, more = reports(0, 1)
    assert ([one.report for one in found], more) == ([1], True)
    found, more = reports(1, 1)
    assert ([one.report for one in found], more) == ([2], False)


async def test_a_device_that_may_only_receive_reports_nothing(harness):
    ask = {"op": "report", "id": "1", "user": "bob", "reason": "spam"}
    assert (await harness.ask("alice", ask, allow=frozenset({RECEIVE})))["error"] == "forbidden"
    assert (await harness.ask("alice", ask, allow=frozenset({SEND})))["ok"] is True


@pytest.mark.parametrize("is_admin", [False, True])
async def test_reports_are_listed_by_request_for_admins(harness, engine, is_admin):
    for number, who in enumerate(["carol", "alice"]):
        await tell(harness, who, user="bob", text=str(number))
    await tell(harness, "bob", user="alice")
    with engine.begin() as connection:
        connection.execute(update(account).where(account.c.user_id == "carol").values(admin=is_admin))
    listed = await harness.ask("carol", {"op": "reports", "id": "l", "after": 1, "limit": 1})
    if not is_admin:
        assert (listed["error"], listed["detail"]) == ("forbidden", "reports are for admins")
        return
    assert ([row["report"] for row in listed["reports"]], listed["more"]) == ([2], True)
    assert listed["reports"][0].items() >= {"reporter": "alice", "user": "bob", "text": "1"}.items()
    last = await harness.ask("carol", {"op": "reports", "id": "l2", "after": 2})
    assert ([row["report"] for row in last["reports"]], last["more"]) == ([3], False)


async def test_an_admin_whose_account_was_disabled_sees_no_reports(harness, engine):
    with engine.begin() as connection:
        chosen = update(account).where(account.c.user_id == "carol")
        connection.execute(chosen.values(admin=True, state="disabled"))
    listed = await harness.ask("carol", {"op": "reports", "id": "l"})
    assert listed["error"] == "forbidden"


async def test_a_page_of_reports_has_a_bound_in_bytes_and_says_that_there_is_more(
    harness, engine, monkeypatch
):
    for who in ("alice", "carol"):
        await tell(harness, who, user="bob", text="x" * 800)
    with engine.begin() as connection:
        connection.execute(update(account).where(account.c.user_id == "carol").values(admin=True))
    monkeypatch.setattr(m, "MAX_PAGE_BYTES", 1000)
    listed = await harness.ask("carol", {"op": "reports", "id": "l"})
    assert ([row["report"] for row in listed["reports"]], listed["more"]) == ([1], True)
