import pytest
from account_fakes import PASSWORD

from bridge.accounts.bearer import hash_of
from bridge.accounts.desk import REFRESH_TTL_S
from bridge.accounts.keys import ACCESS_TTL_S
from pabal.acl import EVERYTHING
from pabal.errors import BadRequest, Conflict, NotFound, Unauthorized
from pabal.ids import DeviceId, UserId

ALICE, BOB = UserId("alice"), UserId("bob")


def test_a_login_gives_tokens_of_that_device(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    login = world.accounts.authenticate_mqtt("alice", session.access_token)
    assert (login.user, login.device, login.allow) == ("alice", "phone", EVERYTHING)
    assert login.session_id == session.session_id
    assert session.expires_in == ACCESS_TTL_S
    assert world.kicks() == []


def test_secrets_do_not_show_in_logs(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    made = world.accounts.add_device(ALICE, PASSWORD, "sensor")
    assert session.access_token not in repr(session)
    assert session.refresh_token not in repr(session)
    assert made.secret not in repr(made)


@pytest.mark.parametrize(
    ("user", "password"),
    [("alice", "wrong password"), ("nobody", PASSWORD), ("a\0b", PASSWORD), ("alice", "")],
)
def test_a_wrong_name_or_password_is_refused_in_the_same_words(world, user, password):
    with pytest.raises(Unauthorized, match=r"^wrong user name or password$"):
        world.accounts.log_in(user, password, "phone")


def test_a_login_of_an_unknown_user_hashes_as_much_as_one_of_a_known_user(world):
    seen = []
    verify = world.accounts._passwords._hasher.verify
    world.accounts._passwords._hasher = type(
        "Counting",
        (),
        {
            "verify": staticmethod(
                lambda stored, given: seen.append(stored.split("$")[3]) or verify(stored, given)
            )
        },
    )()
    for user in ("alice", "nobody"):
        with pytest.raises(Unauthorized):
            world.accounts.log_in(user, "wrong password", "phone")
    assert seen == ["m=64,t=1,p=1"] * 2


@pytest.mark.parametrize("device", ["", "a/b", "x" * 33, "ü"])
def test_a_device_name_that_cannot_be_is_refused(world, device):
    with pytest.raises(BadRequest, match="device"):
        world.accounts.log_in("alice", PASSWORD, device)
    with pytest.raises(BadRequest, match="device"):
        world.accounts.add_device(ALICE, PASSWORD, device)


def test_a_login_on_a_device_name_in_use_ends_the_older_session_there(world):
    old = world.accounts.log_in("alice", PASSWORD, "phone")
    new = world.accounts.log_in("alice", PASSWORD, "phone")
    assert world.kicks() == [("alice", "phone", "replaced")]
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(old.access_token)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(old.refresh_token)
    assert world.accounts.authenticate_bearer(new.access_token).device == "phone"


def test_logins_on_two_devices_live_side_by_side(world):
    one = world.accounts.log_in("alice", PASSWORD, "phone")
    other = world.accounts.log_in("alice", PASSWORD, "laptop")
    assert world.accounts.authenticate_bearer(one.access_token).device == "phone"
    assert world.accounts.authenticate_bearer(other.access_token).device == "laptop"


def test_an_access_token_expires_and_a_refresh_gives_another(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    world.clock.advance(ACCESS_TTL_S)
    with pytest.raises(Unauthorized, match="expired"):
        world.accounts.authenticate_bearer(session.access_token)
    renewed = world.accounts.refresh(session.refresh_token)
    assert renewed.session_id == session.session_id
    assert renewed.refresh_token != session.refresh_token
    assert world.accounts.authenticate_bearer(renewed.access_token).device == "phone"
    assert world.kicks() == []


def test_a_refresh_token_used_twice_ends_the_session_of_the_device(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    renewed = world.accounts.refresh(session.refresh_token)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(session.refresh_token)
    assert world.kicks() == [("alice", "phone", "logout")]
    with pytest.raises(Unauthorized):
        world.accounts.refresh(renewed.refresh_token)
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(renewed.access_token)


def test_a_refresh_token_spent_long_ago_is_still_recognised(world):
    first = world.accounts.log_in("alice", PASSWORD, "phone")
    token = first.refresh_token
    for _ in range(5):
        world.clock.advance(ACCESS_TTL_S)
        token = world.accounts.refresh(token).refresh_token
    with pytest.raises(Unauthorized):
        world.accounts.refresh(first.refresh_token)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(token)


def test_a_guessed_refresh_token_of_a_live_session_ends_nothing(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    with pytest.raises(Unauthorized):
        world.accounts.refresh(f"prt_{session.session_id}.guessed")
    assert world.kicks() == []
    assert world.accounts.refresh(session.refresh_token)


@pytest.mark.parametrize("token", ["", "prt_", "prt_x.y", "pds_abc", "prt_" + "0" * 32 + ".x", "\udc00"])
def test_a_refresh_token_that_never_was_is_refused(world, token):
    with pytest.raises(Unauthorized):
        world.accounts.refresh(token)


def test_a_session_that_was_not_refreshed_for_long_is_over(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    world.clock.advance(REFRESH_TTL_S)
    with pytest.raises(Unauthorized):
        world.accounts.refresh(session.refresh_token)
    assert not world.accounts.list_devices(ALICE)[0].logged_in
    world.accounts.log_in("alice", PASSWORD, "laptop")
    with world.store.reading() as tx:
        assert [one.device for one in tx.sessions(ALICE)] == ["laptop"]


def test_spent_refresh_tokens_do_not_pile_up_for_ever(world):
    token = world.accounts.log_in("alice", PASSWORD, "phone").refresh_token
    session_id = token[4:36]
    spent = token
    for _ in range(4):
        world.clock.advance(REFRESH_TTL_S * 0.6)
        token = world.accounts.refresh(token).refresh_token
    with world.store.reading() as tx:
        assert not tx.is_spent(session_id, hash_of(spent))


def test_logging_out_ends_the_session_and_keeps_the_device(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    login = world.accounts.authenticate_bearer(session.access_token)
    world.accounts.log_out(login)
    assert world.kicks() == [("alice", "phone", "logout")]
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(session.access_token)
    with pytest.raises(NotFound):
        world.accounts.log_out(login)
    (device,) = world.accounts.list_devices(ALICE)
    assert (device.device, device.logged_in) == ("phone", False)


def test_a_device_secret_cannot_log_out(world):
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    with pytest.raises(Conflict):
        world.accounts.log_out(world.accounts.authenticate_bearer(secret))


def test_a_device_secret_gets_in_with_the_rights_that_it_was_given(world):
    made = world.accounts.add_device(ALICE, PASSWORD, "sensor", ["send"])
    login = world.accounts.authenticate_mqtt("alice", made.secret)
    assert (login.user, login.device, login.allow) == ("alice", "sensor", {"send"})
    assert login.session_id is None
    assert made.secret.startswith("pds_")
    assert len(made.secret) == 4 + 43


def test_a_secret_is_not_kept_in_clear(world, tmp_path):
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    with world.store.reading() as tx:
        row = tx.device(ALICE, DeviceId("sensor"))
    assert secret not in repr(row)
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("allow", [[], ["everything"], ["send", "admin"]])
def test_rights_that_do_not_exist_are_refused(world, allow):
    with pytest.raises(BadRequest, match="allow"):
        world.accounts.add_device(ALICE, PASSWORD, "sensor", allow)


def test_a_device_needs_the_password_of_the_account(world):
    with pytest.raises(Unauthorized):
        world.accounts.add_device(ALICE, "wrong password", "sensor")
    assert world.accounts.list_devices(ALICE) == []


def test_a_device_that_has_a_secret_gets_another_only_after_it_was_deleted(world):
    old = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    with pytest.raises(Conflict):
        world.accounts.add_device(ALICE, PASSWORD, "sensor")
    assert world.accounts.authenticate_bearer(old)
    world.accounts.delete_device(ALICE, DeviceId("sensor"))
    new = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    assert world.accounts.authenticate_bearer(new).device == "sensor"
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(old)


def test_a_device_that_logged_in_can_have_a_secret_beside_it(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    secret = world.accounts.add_device(ALICE, PASSWORD, "phone", ["receive"]).secret
    assert world.accounts.authenticate_bearer(session.access_token).allow == EVERYTHING
    assert world.accounts.authenticate_bearer(secret).allow == {"receive"}
    (device,) = world.accounts.list_devices(ALICE)
    assert (device.has_secret, device.logged_in) == (True, True)


def test_two_users_can_have_devices_of_one_name(world):
    mine = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    yours = world.accounts.add_device(BOB, PASSWORD, "sensor").secret
    world.accounts.delete_device(ALICE, DeviceId("sensor"))
    assert world.accounts.authenticate_bearer(yours).user == "bob"
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(mine)


def test_deleting_a_device_ends_its_session_and_kicks_it(world):
    session = world.accounts.log_in("alice", PASSWORD, "phone")
    other = world.accounts.log_in("alice", PASSWORD, "laptop")
    world.accounts.delete_device(ALICE, DeviceId("phone"))
    # Once for the session, and once for who came in by a certificate.
    assert world.kicks() == [("alice", "phone", "kicked")] * 2
    assert world.gone() == [("alice", "phone")]
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_bearer(session.access_token)
    assert world.accounts.authenticate_bearer(other.access_token)
    with pytest.raises(NotFound):
        world.accounts.delete_device(ALICE, DeviceId("phone"))


def test_the_number_of_devices_of_a_user_is_bounded(open_accounts):
    with open_accounts(max_devices=2) as world:
        world.accounts.sign_up("alice", PASSWORD)
        world.accounts.log_in("alice", PASSWORD, "one")
        world.accounts.add_device(ALICE, PASSWORD, "two")
        with pytest.raises(Conflict, match="at most 2"):
            world.accounts.log_in("alice", PASSWORD, "three")
        with pytest.raises(Conflict, match="at most 2"):
            world.accounts.add_device(ALICE, PASSWORD, "three")
        assert world.accounts.log_in("alice", PASSWORD, "one")


def test_the_password_of_the_account_is_no_mqtt_password(world):
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_mqtt("alice", PASSWORD)


@pytest.mark.parametrize("kind", ["token", "secret"])
def test_a_credential_of_another_user_is_refused(world, kind):
    if kind == "token":
        credential = world.accounts.log_in("alice", PASSWORD, "phone").access_token
    else:
        credential = world.accounts.add_device(ALICE, PASSWORD, "phone").secret
    assert world.accounts.authenticate_mqtt("alice", credential)
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_mqtt("bob", credential)


@pytest.mark.parametrize("credential", ["", "pds_", "pds_" + "A" * 43, "x.y.z", "\udc00"])
def test_a_credential_that_never_was_is_refused(world, credential):
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_mqtt("alice", credential)


def test_a_certificate_vouches_for_a_device_that_is_there_and_whose_user_may_come_in(world):
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_vouched(ALICE, DeviceId("phone"))
    world.accounts.log_in(ALICE, PASSWORD, "phone")
    login = world.accounts.authenticate_vouched(ALICE, DeviceId("phone"))
    assert (login.user, login.device, login.credential, login.admin) == (ALICE, "phone", "certificate", False)
    world.accounts.disable(ALICE)
    with pytest.raises(Unauthorized):
        world.accounts.authenticate_vouched(ALICE, DeviceId("phone"))


def test_a_login_knows_whether_its_user_is_an_admin(world):
    secret = world.accounts.add_device(ALICE, PASSWORD, "sensor").secret
    assert not world.accounts.authenticate_mqtt(ALICE, secret).admin
    world.accounts.set_admin(ALICE, True)
    assert world.accounts.authenticate_mqtt(ALICE, secret).admin
