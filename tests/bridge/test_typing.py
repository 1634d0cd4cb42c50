"""Typing: told at once to those who are in the conversation, kept nowhere, and not too often."""

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from bridge_fakes import FakeBroker
from bridge_harness import Harness
from sqlalchemy import event, text

from bridge import typists
from bridge.build import Bridge
from bridge.store.tables import block, change_log, contact

ON = {"op": "typing", "conv": "alice~bob", "on": True}


def heard(chat: Harness, user: str) -> list[tuple[str, str, bool]]:
    topic = f"pabal/v1/live/{user}"
    found = [(msgspec.json.decode(raw), qos) for name, raw, qos in chat.broker.published if name == topic]
    assert all(set(one) == {"type", "ts", "conv", "user", "on"} and qos == 0 for one, qos in found)
    return [(one["conv"], one["user"], one["on"]) for one, _qos in found if one["type"] == "typing"]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The loop's time as the limit sees it: it stands until a test moves it."""

    class Stopped:
        now = 100.0

        def take(self, key, _now, cost=1):
            return self.limiter.take(key, self.now, cost)

    stopped = Stopped()
    make = typists.RateLimiter

    def limiter(*arguments):
        stopped.limiter = make(*arguments)
        return stopped

    monkeypatch.setattr(typists, "RateLimiter", limiter)
    return stopped


# After the clock, so that the bridge is made with it.
@pytest.fixture
async def chat(clock, url):  # noqa: ARG001 -- for its effect
    bridge, broker = Bridge(url, small_limit=3), FakeBroker()
    await bridge.start(broker)
    yield Harness(bridge, broker)
    await bridge.stop()


async def test_the_other_side_is_told_and_the_typist_is_not(chat):
    assert await chat.ask("alice", {"id": "t", **ON}) == {"re": "t", "ok": True}
    assert (await chat.ask("alice", {"id": "u", **ON, "on": False}))["ok"]
    assert heard(chat, "bob") == [("alice~bob", "alice", True), ("alice~bob", "alice", False)]
    assert heard(chat, "alice") == []


async def test_nothing_of_it_is_stored(chat, engine):
    def rows() -> list[int]:
        with engine.begin() as connection:
            tables = ("direct_message", "inbox", "outbox", "member", "conversation")
            return [
                connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables
            ]

    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert rows() == [0, 0, 0, 0, 0]
    assert chat.broker.inboxes == {}


async def test_more_than_one_a_second_is_dropped_without_a_word_and_its_end_is_not(chat, clock):
    for n in range(5):
        assert (await chat.ask("alice", {"id": f"t{n}", **ON}))["ok"]
    assert heard(chat, "bob") == [("alice~bob", "alice", True)]
    for n in range(2):
        assert (await chat.ask("alice", {"id": f"o{n}", **ON, "on": False}))["ok"]
    assert heard(chat, "bob")[1:] == [("alice~bob", "alice", False)] * 2
    clock.now += 1.0
    assert (await chat.ask("alice", {"id": "again", **ON}))["ok"]
    assert len(heard(chat, "bob")) == 4


async def test_each_device_and_each_conversation_has_a_second_of_its_own(chat):
    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert (await chat.ask("alice", {"id": "t", **ON}, device="other"))["ok"]
    assert (await chat.ask("alice", {"id": "u", **ON, "conv": "alice~carol"}))["ok"]
    assert len(heard(chat, "bob")) == 2
    assert len(heard(chat, "carol")) == 1


async def test_without_an_id_it_is_told_all_the_same_and_nothing_answered(chat):
    assert await chat.settled(chat.submit("alice", ON))
    assert heard(chat, "bob") == [("alice~bob", "alice", True)]
    assert chat.replies("alice") == []


async def group(chat, members: list[str]) -> str:
    made = await chat.ask("alice", {"id": "g", "op": "group.create", "name": "x", "members": members})
    return made["conv"]


async def test_members_of_a_small_group_are_told_and_who_is_none_is_refused(chat):
    conv = await group(chat, ["bob"])
    assert (await chat.ask("carol", {"id": "t", **ON, "conv": conv}))["error"] == "not_a_member"
    assert (await chat.ask("bob", {"id": "t", **ON, "conv": conv}))["ok"]
    assert heard(chat, "alice") == [(conv, "bob", True)]
    assert heard(chat, "bob") == heard(chat, "carol") == []


async def test_in_a_large_group_nobody_is_told_and_members_are_answered(chat, engine):
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO account (user_id, state, admin, created_ts) VALUES ('dave', 'active', false, 0)"
            )
        )
    conv = await group(chat, ["bob", "dave"])
    assert (await chat.ask("alice", {"id": "a", "op": "group.add", "conv": conv, "user": "carol"}))["ok"]
    assert (await chat.ask("bob", {"id": "t", **ON, "conv": conv}))["ok"]
    assert [heard(chat, user) for user in ("alice", "bob", "carol", "dave")] == [[]] * 4
    assert (await chat.ask("zoe", {"id": "t", **ON, "conv": conv}))["error"] == "not_a_member"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"conv": "bob~carol"}, "not_a_member"),
        ({"conv": "gaaaaaaaaaaaa"}, "not_found"),
        ({"conv": "alice~zoe"}, "not_found"),
        ({"conv": "x"}, "bad_request"),
        ({"conv": "alice~bob\0"}, "bad_request"),
        ({"conv": 7}, "bad_request"),
        ({"on": "yes"}, "bad_request"),
    ],
)
async def test_what_is_wrong_is_refused_and_told_nobody(chat, wrong, error):
    reply = await chat.ask("alice", {"id": "t", **ON, **wrong})
    assert (reply["re"], reply["ok"], reply["error"]) == ("t", False, error)
    if error == "bad_request":
        assert next(iter(wrong)) in reply["detail"]
    assert (await chat.ask("alice", {"id": "u", **ON}))["ok"]
    assert heard(chat, "bob") == [("alice~bob", "alice", True)]
    assert heard(chat, "carol") == []


@pytest.mark.parametrize("allow", ["send", "receive"])
async def test_typing_is_on_the_side_of_sending(chat, allow):
    reply = await chat.ask("alice", {"id": "t", **ON}, allow=frozenset({allow}))
    assert reply["ok"] is (allow == "send")
    assert len(heard(chat, "bob")) == (allow == "send")


@pytest.mark.parametrize("pair", [("alice", "bob"), ("bob", "alice")])
async def test_two_of_whom_one_blocked_the_other_are_not_told_of_each_other(chat, engine, pair):
    conv = await group(chat, ["bob", "carol"])
    with engine.begin() as connection:
        connection.execute(block.insert(), {"user_id": pair[0], "blocked_id": pair[1], "ts": 0})
    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert (await chat.ask("alice", {"id": "u", **ON, "conv": conv}))["ok"]
    assert heard(chat, "bob") == []
    assert heard(chat, "carol") == [(conv, "alice", True)]


@pytest.mark.parametrize("is_contact", [False, True])
async def test_who_hears_from_contacts_only_is_not_told_of_strangers(chat, engine, is_contact):
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE account SET privacy = '{\"write\":\"contacts\"}' WHERE user_id = 'bob'")
        )
        if is_contact:
            row = {"user_id": "bob", "other_id": "alice", "state": "accepted", "ts": 0}
            connection.execute(contact.insert(), row)
    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert len(heard(chat, "bob")) == is_contact


async def test_to_write_notes_to_oneself_is_told_to_nobody(chat):
    assert (await chat.ask("alice", {"id": "t", **ON, "conv": "alice~alice"}))["ok"]
    assert heard(chat, "alice") == []


async def test_whose_conversation_it_is_is_remembered_for_a_bounded_number(chat, monkeypatch):
    monkeypatch.setattr(typists, "MAX_REMEMBERED", 2)
    for n, conv in enumerate(["alice~bob", "alice~carol", "alice~alice", "alice~bob"]):
        assert (await chat.ask("alice", {"id": f"t{n}", **ON, "conv": conv}))["ok"]
    assert len(chat.bridge.live.typists._known) == 2


async def test_who_goes_on_writing_costs_the_database_nothing(chat, clock, monkeypatch):
    monkeypatch.setattr(typists, "REMEMBERED_S", 3600.0)  # also on a machine that stands still for a while
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        # The bridge looks for changes and for what is due all the time, in threads of its own.
        thread = threading.current_thread()
        if thread is threading.main_thread() or thread.name.startswith("asked"):
            seen.append(statement)

    event.listen(chat.bridge._reader, "before_cursor_execute", note)
    with ThreadPoolExecutor(1, thread_name_prefix="asked") as readers:
        chat.bridge.relay._readers = chat.bridge.live.typists._readers = readers
        assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
        assert seen
        seen.clear()
        clock.now += 1
        assert (await chat.ask("alice", {"id": "u", **ON}))["ok"]
        assert not seen
    assert len(heard(chat, "bob")) == 2


async def test_who_joins_hears_it_at_once_and_who_leaves_no_longer(chat, clock):
    conv = await group(chat, ["bob"])
    told = []
    for op in ("group.add", "group.remove"):
        assert (await chat.ask("alice", {"id": f"t{op}", **ON, "conv": conv}))["ok"]
        clock.now += 1
        assert (await chat.ask("alice", {"id": op, "op": op, "conv": conv, "user": "carol"}))["ok"]
        assert (await chat.ask("alice", {"id": f"u{op}", **ON, "conv": conv}))["ok"]
        clock.now += 1
        told.append(len(heard(chat, "carol")))
    # Once after joining, and once more before leaving.
    assert told == [1, 2]
    assert len(heard(chat, "bob")) == 4


async def test_a_block_is_heeded_at_once(chat, clock):
    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert (await chat.ask("bob", {"id": "b", "op": "block.add", "user": "alice"}))["ok"]
    clock.now += 1
    assert (await chat.ask("alice", {"id": "u", **ON}))["ok"]
    assert len(heard(chat, "bob")) == 1


@pytest.mark.parametrize("kind", ["related", "gone"])
async def test_what_an_account_changed_about_itself_is_heeded_soon(chat, engine, clock, kind):
    assert (await chat.ask("alice", {"id": "t", **ON}))["ok"]
    assert chat.bridge.live.typists._known
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE account SET privacy = '{\"write\":\"contacts\"}' WHERE user_id = 'bob'")
        )
        connection.execute(change_log.insert(), {"kind": kind, "user_id": "bob", "ts": 1})
    await chat.broker.until(lambda: bool(chat.broker.reviewed or chat.broker.forgotten))
    assert not chat.bridge.live.typists._known
    clock.now += 1
    assert (await chat.ask("alice", {"id": "u", **ON}))["ok"]
    assert len(heard(chat, "bob")) == 1


async def test_one_devices_words_keep_their_order(chat):
    batch = [{"id": f"t{n}", **ON, "on": n % 2 == 0} for n in range(10)]
    await chat.settled(chat.submit("alice", batch))
    assert [reply["re"] for reply in chat.replies("alice")] == [f"t{n}" for n in range(10)]
    assert [on for _conv, _user, on in heard(chat, "bob")] == [True, *[False] * 5]
