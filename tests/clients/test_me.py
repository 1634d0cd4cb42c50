"""One's own account, over HTTP."""

import pytest
from fake_chat_server import FakeServer
from fake_rest_server import FakeRest

from pabal.errors import Unauthorized
from pabal_client import ClientError, Privacy, Rest
from pabal_client.me import Authorised, Me


@pytest.fixture
def fake():
    with FakeRest(FakeServer()) as fake:
        fake.passwords = {"alice": "pw", "alina": "pw"}
        yield fake


@pytest.fixture
def token(fake):
    with Rest(fake.url) as rest:
        return rest.log_in("alice", "pw", "phone").access_token


@pytest.fixture
def me(fake, token):
    with Rest(fake.url) as rest:
        yield Me(Authorised(rest, token))


def test_profile_and_privacy_are_shown_and_changed(me):
    assert me.show().privacy == Privacy()
    profile = me.update(display_name="Alice", privacy={"last_seen": "nobody", "search": False})
    assert (profile.display_name, profile.privacy.last_seen, profile.privacy.write) == (
        "Alice",
        "nobody",
        "everyone",
    )
    assert not me.show().privacy.search
    assert me.update(display_name=None, about="on the road").display_name is None
    assert me.show().about == "on the road"


def test_the_password_is_changed_by_who_knows_the_old_one(me, fake):
    with pytest.raises(Unauthorized):
        me.set_password("wrong", "another one")
    me.set_password("pw", "another one")
    assert fake.passwords["alice"] == "another one"


def test_devices_are_listed_and_removed(me, fake):
    fake.devices = [
        {"device": "phone", "allow": ["send"], "logged_in": True, "current": True},
        {"device": "old"},
    ]
    assert [(row.device, row.logged_in) for row in me.devices()] == [("phone", True), ("old", False)]
    me.remove_device("old")
    assert [row.device for row in me.devices()] == ["phone"]


def test_what_happened_is_listed_and_everything_is_exported(me, fake):
    fake.audit = [{"ts": 2, "event": "login"}, {"ts": 1, "event": "sign_up"}]
    assert [row.event for row in me.security(limit=1)] == ["login"]
    assert me.export() == b"PK-zip"


def test_the_account_is_deleted_with_its_password_alone(me, fake):
    with pytest.raises(Unauthorized):
        me.delete("wrong")
    me.delete("pw")
    assert "alice" not in fake.passwords


def test_a_credential_that_was_refused_is_renewed_once(fake, token):
    asked = []

    def password(*, refused):
        asked.append(refused)
        return token if refused else "old"

    with Rest(fake.url) as rest:
        assert Me(Authorised(rest, password)).show().user == "alice"
        assert asked == [False, True]
        fake.sessions.clear()
        with pytest.raises(Unauthorized):
            Me(Authorised(rest, password)).show()
        with pytest.raises(Unauthorized):
            Me(Authorised(rest, "wrong")).show()


def test_a_client_reaches_the_account_where_it_was_told_how(fake, token, open_client):
    assert open_client(password=token, http=fake.url).me.show().user == "alice"
    with pytest.raises(ClientError, match="http="):
        _ = open_client("bob").me


def test_people_are_found_by_a_part_of_their_name(fake, token):
    with Rest(fake.url, token=token) as rest:
        assert [user.user for user in rest.search_users("ali").users] == ["alice", "alina"]
