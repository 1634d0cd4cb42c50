"""The audit log: what is in it, what is not, and that strangers cannot make it grow."""

import json

import pytest
from account_fakes import PASSWORD
from sqlalchemy import func, select

from bridge.accounts import failure_notes
from bridge.accounts.failure_notes import FailureNotes
from bridge.accounts.origin import Origin
from bridge.store import audit_log
from bridge.store.tables import audit
from pabal.errors import Forbidden, NotFound, Unauthorized
from pabal.ids import DeviceId, UserId

ALICE = UserId("alice")


def told(world, user=ALICE):
    found, _more = world.accounts.events(user)
    return found


def rows(world) -> int:
    with world.store.reading() as tx:
        return tx._connection.execute(select(func.count()).select_from(audit)).scalar_one()


def fail(world, times, *, user="alice", address="192.0.2.1"):
    for _ in range(times):
        with pytest.raises(Unauthorized):
            world.accounts.log_in(user, "wrong password", "phone", origin=Origin(address, via="http"))


def test_failed_logins_of_one_while_are_one_event_with_their_number_and_some_addresses(world):
    fail(world, 50)
    fail(world, 1, address="2001:db8::1")
    [failed, signed_up] = told(world)
    assert (failed.event, signed_up.event) == ("login_failed", "signed_up")
    assert failed.detail == {"count": 51, "addresses": ["192.0.2.1", "2001:db8::1"], "via": "http"}
    assert failed.address == "2001:db8::1"
    world.clock.advance(audit_log.TOGETHER_MS / 1000 + 1)
    fail(world, 2)
    assert [one.detail.get("count") for one in told(world)] == [2, 51, None]


def test_however_many_addresses_fail_a_few_are_named(world):
    for number in range(40):
        fail(world, 1, address=f"192.0.2.{number}")
    [failed, _signed_up] = told(world)
    assert failed.detail["count"] == 40
    assert len(failed.detail["addresses"]) == audit_log.SHOWN_ADDRESSES


def test_few_failures_are_written_at_once_and_the_others_with_the_next_good_login(world):
    fail(world, 20)
    with world.store.reading() as tx:
        detail = tx._connection.execute(
            select(audit.c.detail).where(audit.c.event == "login_failed")
        ).scalar_one()
    assert json.loads(detail)["count"] == failure_notes.OF_ONE[1]
    world.accounts.log_in("alice", PASSWORD, "phone")
    with world.store.reading() as tx:
        detail = tx._connection.execute(
            select(audit.c.detail).where(audit.c.event == "login_failed")
        ).scalar_one()
    assert json.loads(detail)["count"] == 20


def test_logins_of_nobody_leave_no_trace(world):
    before = rows(world)
    fail(world, 3, user="nobody")
    fail(world, 3, user="No Name")
    for name in ("nobody", "No Name"):
        world.accounts.note_failure(UserId(name), Origin("192.0.2.1", via="mqtt"))
    assert rows(world) == before


def test_of_each_kind_only_the_newest_are_kept_and_no_other_kind_goes_for_them(world, monkeypatch):
    monkeypatch.setattr(audit_log, "KEPT_OF_A_KIND", 3)
    for number in range(6):
        world.accounts.log_in("alice", PASSWORD, f"d{number}")
    found = told(world)
    assert [(one.event, one.device) for one in found] == [
        ("logged_in", "d5"), ("logged_in", "d4"), ("logged_in", "d3"), ("signed_up", None),
    ]  # fmt: skip
    assert [one.event for one in told(world, UserId("bob"))] == ["signed_up"]


def test_it_says_what_happened_to_devices_and_sessions_and_who_did_it(world):
    accounts, origin = world.accounts, Origin("192.0.2.1", DeviceId("phone"), "http")
    session = accounts.log_in("alice", PASSWORD, "phone", origin=origin)
    made = accounts.add_device(ALICE, PASSWORD, "lamp", ["send"], origin=origin)
    accounts.delete_device(ALICE, DeviceId("lamp"), origin=origin)
    accounts.refresh(session.refresh_token)
    with pytest.raises(Unauthorized):
        accounts.refresh(session.refresh_token, origin=origin)
    accounts.set_password(ALICE, "another horse", origin=origin)
    accounts.disable(ALICE)
    with pytest.raises(Forbidden):
        accounts.log_in("alice", "another horse", "phone")
    accounts.enable(ALICE)
    accounts.set_admin(ALICE, True)
    found = told(world)
    assert [one.event for one in reversed(found)] == [
        "signed_up", "logged_in", "device_added", "device_removed", "refresh_reused", "password_changed",
        "disabled", "enabled", "admin_changed",
    ]  # fmt: skip
    removed = next(one for one in found if one.event == "device_removed")
    assert (removed.device, removed.address, removed.detail) == (
        "lamp",
        "192.0.2.1",
        {"via": "http", "by": "phone"},
    )
    said = repr(found)
    for hidden in (PASSWORD, "another horse", made.secret, session.access_token, session.refresh_token):
        assert hidden not in said


def test_what_is_refused_is_not_in_it(world):
    before = rows(world)
    for refused in (world.accounts.disable, world.accounts.delete, world.accounts.note_export):
        with pytest.raises(NotFound):
            refused(UserId("nobody"))
    with pytest.raises(NotFound):
        world.accounts.delete_device(ALICE, DeviceId("lamp"))
    assert rows(world) == before


def test_of_a_deleted_account_operators_still_see_what_happened(world):
    world.accounts.delete(ALICE)
    assert [one.event for one in told(world)] == ["deleted", "signed_up"]
    assert {one.user for one in told(world, None)} == {"alice", "bob"}


def test_notes_of_failures_are_bounded_in_memory(monkeypatch):
    monkeypatch.setattr(failure_notes, "MAX_USERS", 5)
    monkeypatch.setattr(failure_notes, "OF_ALL", (1.0, 1))
    notes = FailureNotes(lambda: 0.0)
    written = [notes.add(UserId(f"u{number}"), Origin("192.0.2.1")) for number in range(20)]
    assert [one is not None for one in written] == [True] + [False] * 19
    assert len(notes._pending) == 5
    assert notes.take(UserId("u1")).count == 1
    assert notes.take(UserId("u1")) is None
