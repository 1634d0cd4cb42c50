import threading

import pytest
from account_fakes import PASSWORD, cheap_passwords
from sqlalchemy.exc import OperationalError

from bridge.accounts.people import MAX_ABOUT, MAX_DISPLAY_NAME
from bridge.ports import Login
from pabal.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized, Unavailable
from pabal.ids import DeviceId, UserId

ALICE, BOB, NOBODY = UserId("alice"), UserId("bob"), UserId("nobody")


def test_whoever_signs_up_can_be_looked_up(world):
    made = world.accounts.sign_up("carol", PASSWORD, display_name="Carol C.")
    assert world.accounts.look_up(UserId("carol")) == made
    assert (made.display_name, made.state, made.admin) == ("Carol C.", "active", False)
    assert made.created_ts == world.clock.now * 1000


def test_a_name_that_is_taken_is_refused(world):
    with pytest.raises(Conflict, match="alice"):
        world.accounts.sign_up("alice", PASSWORD)


@pytest.mark.parametrize("name", ["admin", "Alice", "a", "", "a b", "svc:web", "x" * 33])
def test_a_name_that_cannot_be_is_refused(world, name):
    with pytest.raises(BadRequest, match="user"):
        world.accounts.sign_up(name, PASSWORD)


def test_a_password_that_is_too_short_is_refused_and_nobody_is_made(world):
    with pytest.raises(BadRequest, match="password"):
        world.accounts.sign_up("carol", "short")
    with pytest.raises(NotFound):
        world.accounts.look_up(UserId("carol"))


@pytest.mark.parametrize("shown", ["x" * (MAX_DISPLAY_NAME + 1), "a\0b", "\udc00"])
def test_a_display_name_that_cannot_be_is_refused(world, shown):
    with pytest.raises(BadRequest, match="display_name"):
        world.accounts.sign_up("carol", PASSWORD, display_name=shown)


def test_of_many_who_ask_for_one_name_at_once_one_gets_it(world):
    outcomes = []

    def sign_up():
        try:
            world.accounts.sign_up("carol", PASSWORD)
            outcomes.append("made")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=sign_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 5 + ["made"]


def test_a_race_that_the_first_look_missed_ends_in_a_conflict(world):
    row = world.store
    with row.writing() as tx:
        known = tx.account(ALICE)
        assert known is not None
        with pytest.raises(Conflict):
            tx.insert_account(known)


def test_nobody_cannot_be_looked_up(world):
    with pytest.raises(NotFound):
        world.accounts.look_up(NOBODY)


def test_users_are_listed_by_name_in_pages_without_the_deleted(world):
    world.accounts.sign_up("carol", PASSWORD, admin=True)
    world.accounts.delete(BOB)
    first = world.accounts.list_users(limit=1)
    rest = world.accounts.list_users(after=first[-1].user)
    assert [(one.user, one.admin) for one in first + rest] == [("alice", False), ("carol", True)]


def test_a_profile_changes_only_where_it_is_told_to(world):
    world.accounts.update_profile(ALICE, display_name="Al", about="here")
    assert world.accounts.update_profile(ALICE, about="there").display_name == "Al"
    cleared = world.accounts.update_profile(ALICE, display_name=None)
    assert (cleared.display_name, cleared.about) == (None, "there")
    assert world.accounts.look_up(ALICE) == cleared


def test_an_about_text_that_is_too_long_is_refused_and_nothing_changes(world):
    with pytest.raises(BadRequest, match="about"):
        world.accounts.update_profile(ALICE, display_name="Al", about="x" * (MAX_ABOUT + 1))
    assert world.accounts.look_up(ALICE).display_name is None


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one_and_secrets(world):
    keep = world.accounts.log_in("alice", PASSWORD, "phone")
    other = world.accounts.log_in("alice", PASSWORD, "laptop")
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    world.accounts.set_password(ALICE, "another horse", keep_session=keep.session_id)
    assert world.accounts.authenticate_bearer(keep.access_token).device == "phone"
    assert world.accounts.authenticate_bearer(secret).device == "sensor"
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(other.access_token)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(other.refresh_token)
    assert world.kicks() == [("alice", "laptop", "password")]
    with pytest.raises(Unauthorized):
        world.accounts.log_in("alice", PASSWORD, "tablet")
    assert world.accounts.log_in("alice", "another horse", "tablet")


def test_the_password_is_checked_for_its_owner_only(world):
    world.accounts.check_password(ALICE, PASSWORD)
    with pytest.raises(Unauthorized):
        world.accounts.check_password(ALICE, "wrong password")
    with pytest.raises(Unauthorized):
        world.accounts.check_password(NOBODY, PASSWORD)


def test_a_disabled_user_gets_in_nowhere_until_enabled(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    world.accounts.disable(ALICE)
    assert world.kicks() == [("alice", None, "disabled")]
    for credential in (session.access_token, secret):
        with pytest.raises(Unauthorized):
            world.accounts.authenticate_mqtt("alice", credential)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(session.refresh_token)
    with pytest.raises(Forbidden, match="disabled"):
        world.accounts.log_in("alice", PASSWORD, "phone")
    with pytest.raises(Unauthorized):
        world.accounts.check_password(ALICE, PASSWORD)
    assert world.accounts.look_up(ALICE).state == "disabled"

    world.accounts.enable(ALICE)
    assert world.accounts.authenticate_mqtt("alice", secret).device == "sensor"
    assert world.accounts.log_in("alice", PASSWORD, "phone")
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(session.access_token)


def test_a_wrong_password_of_a_disabled_user_does_not_tell_that_it_is_disabled(world):
    world.accounts.disable(ALICE)
    with pytest.raises(Unauthorized):
        world.accounts.log_in("alice", "wrong password", "phone")


def test_a_deleted_user_is_gone_and_the_name_is_not_given_again(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    world.accounts.update_profile(ALICE, display_name="Al", about="here")
    world.accounts.delete(ALICE)
    assert world.kicks() == [("alice", None, "deleted")]
    assert world.gone() == [("alice", None)]
    for credential in (session.access_token, secret):
        with pytest.raises(Unauthorized):
            world.accounts.authenticate_bearer(credential)
    with pytest.raises(Unauthorized):
        world.accounts.log_in("alice", PASSWORD, "phone")
    with pytest.raises(NotFound):
        world.accounts.look_up(ALICE)
    with pytest.raises(Conflict):
        world.accounts.sign_up("alice", PASSWORD)
    with world.store.reading() as tx:
        row = tx.account(ALICE)
        assert row is not None
        assert (row.password_hash, row.display_name, row.about) == (None, None, None)
        assert tx.devices(ALICE) == tx.sessions(ALICE) == []


def test_admin_can_be_given_and_taken(world):
    world.accounts.set_admin(ALICE, admin=True)
    assert world.accounts.look_up(ALICE).admin
    world.accounts.set_admin(ALICE, admin=False)
    assert not world.accounts.look_up(ALICE).admin


@pytest.mark.parametrize(
    "act",
    [
        lambda accounts: accounts.update_profile(NOBODY, about="x"),
        lambda accounts: accounts.set_password(NOBODY, PASSWORD),
        lambda accounts: accounts.set_admin(NOBODY, admin=True),
        lambda accounts: accounts.disable(NOBODY),
        lambda accounts: accounts.enable(NOBODY),
        lambda accounts: accounts.delete(NOBODY),
        lambda accounts: accounts.delete_device(NOBODY, DeviceId("phone")),
    ],
    ids=["profile", "password", "admin", "disable", "enable", "delete", "delete_device"],
)
def test_nothing_can_be_done_to_nobody(world, act):
    with pytest.raises(NotFound):
        act(world.accounts)
    assert world.kicks() == []


def test_a_hash_of_an_older_cost_is_renewed_at_the_next_login(world):
    with world.store.reading() as tx:
        before = tx.account(ALICE).password_hash
    world.accounts._passwords = cheap_passwords(time_cost=2)
    world.accounts.log_in("alice", PASSWORD, "phone")
    with world.store.reading() as tx:
        after = tx.account(ALICE).password_hash
    assert before != after
    assert "t=2" in after
    assert world.accounts.log_in("alice", PASSWORD, "phone")


def test_a_database_that_does_not_answer_is_unavailable(world):
    with pytest.raises(Unavailable) as refused, world.store.writing():
        raise OperationalError("select", {}, Exception("disk I/O error"))
    assert refused.value.retry_after is not None


def test_a_ping_is_answered(world):
    world.accounts.ping()


def test_a_change_log_that_nobody_reads_stays_bounded(world, monkeypatch):
    monkeypatch.setattr("bridge.store.accounts._CHANGES_KEPT", 3)
    with world.store.writing() as tx:
        for number in range(10):
            tx.kick(ALICE, DeviceId(str(number)), "logout", 1)
    assert [device for _, device, _ in world.kicks()] == ["7", "8", "9"]


def test_a_login_that_is_replaced_is_ended_by_its_session_and_not_by_its_device(world):
    world.accounts.log_in(ALICE, PASSWORD, "phone")
    first = world.sessions()
    world.accounts.log_in(ALICE, PASSWORD, "phone")
    assert world.kicked_credentials() == first
    assert world.sessions() != first


def test_a_deleted_device_that_is_made_again_is_another_credential(world):
    first = world.accounts.authenticate_bearer(world.accounts.add_device(ALICE, PASSWORD, "sensor").secret)
    world.accounts.delete_device(ALICE, first.device)
    second = world.accounts.authenticate_bearer(world.accounts.add_device(ALICE, PASSWORD, "sensor").secret)
    assert world.kicked_credentials() == [first.credential, "certificate"]
    assert second.credential not in {None, first.credential}


def test_a_login_is_live_only_while_what_it_rests_on_is(world):
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    login = world.accounts.authenticate_bearer(secret)
    world.accounts.check_live(login)
    world.accounts.delete_device(ALICE, login.device)
    with pytest.raises(Unauthorized):
        world.accounts.check_live(login)
    with pytest.raises(Unauthorized):
        world.accounts.check_live(Login(NOBODY, DeviceId("x"), frozenset(), None))


def test_a_password_that_changes_while_it_is_checked_lets_nobody_in(world):
    verify = world.accounts._passwords.verify

    def change_meanwhile(stored, password):
        good = verify(stored, password)
        world.accounts.set_password(ALICE, "another horse")
        return good

    world.accounts._passwords.verify = change_meanwhile
    with pytest.raises(Unauthorized):
        world.accounts.log_in("alice", PASSWORD, "phone")
    world.accounts._passwords.verify = verify
    assert world.accounts.log_in("alice", "another horse", "phone")
