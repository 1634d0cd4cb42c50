"""Groups over HTTP, with a real bridge behind: each call does what its request does over MQTT."""

import pytest
from account_fakes import PASSWORD, FakeClock, open_world
from bridge_thread import running_bridge
from migrated import migrated_sqlite

from bridge.backplane.plane import NullPlane
from webapi.app import Services, close_app, create_app
from webapi.settings import BrokerEndpoint, WebSettings

BROKER = BrokerEndpoint(tcp="mqtt://127.0.0.1:1883", ws=None)
PEOPLE = ("alice", "bob", "carol", "dave")
NOWHERE = "gaaaaaaaaaaaa"


class People:
    """Somebody calls; `.status_code` and `.json` of what comes back."""

    def __init__(self, app, world) -> None:
        self.client = app.test_client()
        self.world = world
        self.tokens = {user: world.accounts.log_in(user, PASSWORD, "phone").access_token for user in PEOPLE}

    def call(self, user, method, path, json=None, *, token=None, expect=200):
        headers = {"Authorization": f"Bearer {token or self.tokens[user]}"}
        body = {} if json is None else {"json": json}
        answer = self.client.open(f"/v1{path}", method=method, headers=headers, **body)
        assert answer.status_code == expect, answer.text
        return answer.json

    def refused(self, user, method, path, json=None, *, code, says=""):
        status = {"bad_request": 400, "not_found": 404, "conflict": 409, "too_large": 413}.get(code, 403)
        problem = self.call(user, method, path, json, expect=status)
        assert problem["code"] == code, problem
        assert says in problem["detail"]

    def group(self, *members, owner="alice", **more):
        made = self.call(
            owner, "POST", "/groups", {"name": "Riders", "members": list(members), **more}, expect=201
        )
        return made["conv"]

    def history(self, user, conv):
        return self.call(user, "GET", f"/conversations/{conv}/messages")["items"]

    def roles(self, conv, user="alice"):
        page = self.call(user, "GET", f"/groups/{conv}/members")
        return {one["user"]: one["role"] for one in page["members"]}


@pytest.fixture(params=[100, 2], ids=["small", "large"])
def people(request, tmp_path):
    """Groups of more than two are large in the second run."""
    url = migrated_sqlite(tmp_path)
    with open_world(tmp_path, url) as world:
        for user in PEOPLE:
            world.accounts.sign_up(user, PASSWORD)
        with running_bridge(url, small_limit=request.param) as bridge:
            services = Services(world.accounts, bridge.bridge.reads, bridge, NullPlane(FakeClock()))
            app = create_app(services, WebSettings(brokers=(BROKER,), rate_limits=False))
            yield People(app, world)
            close_app(app)


def test_a_group_is_made_once_and_shown_to_its_members(people):
    ask = {"id": "1", "name": "Riders", "members": ["bob", "carol"], "posting": "admins"}
    made = people.call("alice", "POST", "/groups", ask, expect=201)
    assert (made["message_id"], made["dup"]) == (1, False)
    assert people.call("alice", "POST", "/groups", ask) == {**made, "dup": True}
    shown = people.call("bob", "GET", f"/groups/{made['conv']}")
    assert shown["name"] == "Riders"
    assert (shown["history"], shown["posting"], shown["more"]) == ("join", "admins", False)
    assert shown["members"] == [
        {"user": "alice", "role": "owner"},
        {"user": "bob", "role": "member"},
        {"user": "carol", "role": "member"},
    ]
    people.refused("dave", "GET", f"/groups/{made['conv']}", code="not_a_member")
    people.refused("alice", "GET", f"/groups/{NOWHERE}", code="not_found")
    people.refused("alice", "GET", "/groups/alice~bob", code="bad_request", says="conv")


def test_members_are_listed_in_pages_by_name(people):
    conv = people.group("bob", "carol")
    first = people.call("bob", "GET", f"/groups/{conv}/members?limit=2")
    assert ([one["user"] for one in first["members"]], first["more"]) == (["alice", "bob"], True)
    rest = people.call("bob", "GET", f"/groups/{conv}/members?after=bob")
    assert ([one["user"] for one in rest["members"]], rest["more"]) == (["carol"], False)
    for query in ("limit=0", "limit=501", "after=B"):
        people.refused(
            "bob", "GET", f"/groups/{conv}/members?{query}", code="bad_request", says=query.split("=")[0]
        )


def test_a_group_is_renamed_and_set_up_anew(people):
    conv = people.group("bob", "carol")
    people.call("alice", "PATCH", f"/groups/{conv}", {"name": "Racers"})
    people.call("alice", "PATCH", f"/groups/{conv}", {"history": "all", "posting": "admins"})
    shown = people.call("carol", "GET", f"/groups/{conv}")
    assert (shown["name"], shown["history"], shown["posting"]) == ("Racers", "all", "admins")
    actions = [(one["action"], one.get("name")) for one in people.history("bob", conv)][1:]
    assert actions == [("renamed", "Racers"), ("settings", None)]
    people.refused("bob", "PATCH", f"/groups/{conv}", {"name": "Mine"}, code="forbidden")
    people.refused("dave", "PATCH", f"/groups/{conv}", {"name": "Mine"}, code="not_a_member")
    for body in ({}, {"name": " "}, {"name": "a\0b"}, {"name": "x" * 129}, {"posting": "nobody"}):
        people.refused(
            "alice", "PATCH", f"/groups/{conv}", body, code="bad_request", says=next(iter(body), "name")
        )


def test_members_come_and_go_and_have_roles(people):
    conv = people.group("bob")
    people.call("alice", "PUT", f"/groups/{conv}/members/carol")
    people.call("alice", "PUT", f"/groups/{conv}/members/bob", {"role": "admin"})
    people.call("bob", "PUT", f"/groups/{conv}/members/dave", {})
    assert people.roles(conv) == {"alice": "owner", "bob": "admin", "carol": "member", "dave": "member"}
    people.refused("alice", "PUT", f"/groups/{conv}/members/bob", code="conflict")
    people.refused("carol", "PUT", f"/groups/{conv}/members/dave", {"role": "admin"}, code="forbidden")
    people.refused("alice", "PUT", f"/groups/{conv}/members/nobody-here", code="not_found")
    people.refused("alice", "PUT", f"/groups/{conv}/members/B", code="bad_request", says="user")
    people.refused(
        "alice", "PUT", f"/groups/{conv}/members/bob", {"role": "king"}, code="bad_request", says="role"
    )
    people.call("bob", "DELETE", f"/groups/{conv}/members/dave")
    people.call("carol", "DELETE", f"/groups/{conv}/members/carol")
    people.refused("alice", "DELETE", f"/groups/{conv}/members/alice", code="forbidden", says="hand it over")
    people.call("alice", "PUT", f"/groups/{conv}/members/bob", {"role": "owner"})
    assert people.roles(conv) == {"alice": "admin", "bob": "owner"}
    people.call("alice", "DELETE", f"/groups/{conv}/members/alice")
    people.refused("alice", "GET", f"/groups/{conv}", code="not_a_member")


def test_a_member_is_silenced_and_may_write_again(people):
    conv, path = people.group("bob", "carol"), "/groups/{}/members/bob/mute"
    people.call("alice", "PUT", path.format(conv))
    people.refused("bob", "POST", f"/conversations/{conv}/messages", {"text": "x"}, code="forbidden")
    shown = people.call("alice", "GET", f"/groups/{conv}/members")["members"]
    assert [one.get("muted_until") for one in shown] == [None, 2**53 - 1, None]
    people.refused("alice", "PUT", path.format(conv), {"until": 1}, code="bad_request", says="until")
    people.refused("bob", "DELETE", path.format(conv), code="forbidden")
    people.call("alice", "DELETE", path.format(conv))
    people.refused("alice", "DELETE", path.format(conv), code="not_found")
    people.call("bob", "POST", f"/conversations/{conv}/messages", {"text": "x"}, expect=201)


def test_the_owner_dissolves_a_group(people):
    conv = people.group("bob", "carol")
    people.refused("bob", "DELETE", f"/groups/{conv}", code="forbidden")
    people.call("alice", "DELETE", f"/groups/{conv}")
    for user in ("alice", "bob"):
        people.refused(user, "GET", f"/groups/{conv}", code="not_a_member")
        assert people.call(user, "GET", "/conversations")["conversations"] == []


def test_what_is_taken_away_twice_under_one_id_is_done_once(people):
    conv = people.group("bob", "carol")
    people.call("alice", "PUT", f"/groups/{conv}/members/bob/mute")
    for path in (f"/groups/{conv}/members/bob/mute", f"/groups/{conv}/members/bob", f"/groups/{conv}"):
        first = people.call("alice", "DELETE", f"{path}?id={len(path)}")
        assert first["dup"] is False
        assert people.call("alice", "DELETE", f"{path}?id={len(path)}") == first | {"dup": True}
    other = people.group("bob")
    people.call("bob", "DELETE", f"/groups/{other}/members/bob?id=leave")
    assert people.call("bob", "DELETE", f"/groups/{other}/members/bob?id=leave")["dup"] is True
    people.refused("alice", "DELETE", f"/groups/{other}?id=", code="bad_request", says="id")


def test_links_are_made_listed_used_and_taken_back(people):
    conv = people.group("bob", "carol")
    made = people.call("alice", "POST", f"/groups/{conv}/invites", {"uses": 1, "id": "i"}, expect=201)
    assert people.call("alice", "POST", f"/groups/{conv}/invites", {"uses": 1, "id": "i"}, expect=201) == made
    assert (made["uses"], made["expires"]) == (1, None)
    [listed] = people.call("alice", "GET", f"/groups/{conv}/invites")["invites"]
    assert (listed["code"], listed["by"], listed["uses"], listed["used"]) == (made["code"], "alice", 1, 0)
    joined = people.call("dave", "POST", f"/invites/{made['code']}", {"id": "j"}, expect=201)
    assert joined["conv"] == conv
    assert people.call("dave", "POST", f"/invites/{made['code']}", {"id": "j"}) == {**joined, "dup": True}
    people.refused("dave", "POST", f"/invites/{made['code']}", code="conflict")
    assert people.call("alice", "GET", f"/groups/{conv}/invites")["invites"] == []
    endless = people.call("alice", "POST", f"/groups/{conv}/invites", expect=201)["code"]
    people.call("alice", "DELETE", f"/groups/{conv}/members/dave")
    people.refused("dave", "POST", f"/invites/{made['code']}", code="not_found")
    people.refused("bob", "DELETE", f"/groups/{conv}/invites/{endless}", code="forbidden")
    for _ in range(2):
        people.call("alice", "DELETE", f"/groups/{conv}/invites/{endless}", expect=204)
    people.refused("dave", "POST", f"/invites/{endless}", code="not_found")
    for user, code in (("bob", "forbidden"), ("dave", "not_a_member")):
        people.refused(user, "GET", f"/groups/{conv}/invites", code=code)
        people.refused(user, "POST", f"/groups/{conv}/invites", code=code)
    for body in ({"uses": 0}, {"expires_in": 0}, {"expires_in": 31_536_001}):
        people.refused(
            "alice", "POST", f"/groups/{conv}/invites", body, code="bad_request", says=next(iter(body))
        )


def test_a_conversation_is_muted_for_oneself(people):
    conv = people.group("bob", "carol")
    people.call("alice", "POST", "/conversations/@bob/messages", {"text": "x"}, expect=201)

    def muted():
        listed = people.call("bob", "GET", "/conversations")["conversations"]
        return {one["conv"]: one.get("muted_until") for one in listed}

    people.call("bob", "PUT", f"/conversations/{conv}/mute", expect=204)
    people.call("bob", "PUT", "/conversations/@alice/mute", {"until": 5}, expect=204)
    assert muted() == {conv: 2**53 - 1, "alice~bob": 5}
    people.call("bob", "DELETE", f"/conversations/{conv}/mute", expect=204)
    assert muted() == {conv: None, "alice~bob": 5}
    people.refused("dave", "PUT", f"/conversations/{conv}/mute", code="not_a_member")
    people.refused("dave", "PUT", "/conversations/@alice/mute", code="not_found")


def test_a_device_that_may_only_receive_changes_nothing_and_one_that_may_only_send_reads_nothing(people):
    conv = people.group("bob", "carol")
    display = people.world.accounts.add_device("alice", PASSWORD, "display", ["receive"]).secret
    sensor = people.world.accounts.add_device("alice", PASSWORD, "sensor", ["send"]).secret
    reading = (("GET", f"/groups/{conv}", 200), ("GET", f"/groups/{conv}/members", 200),
               ("GET", f"/groups/{conv}/invites", 200), ("PUT", f"/conversations/{conv}/mute", 204))  # fmt: skip
    writing = (("PUT", f"/groups/{conv}/members/dave", 200), ("POST", f"/groups/{conv}/invites", 201),
               ("DELETE", f"/groups/{conv}", 200))  # fmt: skip
    for method, path, status in reading:
        people.call("alice", method, path, token=sensor, expect=403)
        people.call("alice", method, path, token=display, expect=status)
    for method, path, status in writing:
        people.call("alice", method, path, token=display, expect=403)
        people.call("alice", method, path, token=sensor, expect=status)
