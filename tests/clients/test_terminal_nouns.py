"""What the terminal does about messages, groups, people and the account."""

import io
import json
import zipfile

import pytest
from fake_chat_server import FakeServer
from fake_rest_server import FakeRest

import pabal_terminal as terminal
from pabal_client.changes import BY_TYPE
from pabal_client.updates import Message, Update
from pabal_terminal import Output, TerminalError, account, entries, groups, people, wording
from pabal_terminal.profile import ProfileFile

GROUP = "gaaaaaaaaaaaa"


@pytest.fixture(autouse=True)
def profile_path(tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    monkeypatch.setenv("PABAL_PROFILE", str(path))
    return path


@pytest.fixture
def rest(profile_path):
    with FakeRest(FakeServer()) as rest:
        rest.passwords = {"alice": "pw", "bob": "pw"}
        terminal.login(rest.url, "alice", "pw", "laptop", profile_path=profile_path)
        terminal.send("bob", "hi")
        yield rest


def said(command, *arguments, **options):
    """What the command prints for people, and as JSON for programs."""
    out = Output(io.StringIO())
    command(*arguments, output=out, **options)
    return out.stream.getvalue().splitlines()


def data(command, *arguments, **options):
    out = Output(io.StringIO(), json=True)
    command(*arguments, output=out, **options)
    return [json.loads(line) for line in out.stream.getvalue().splitlines()]


def test_a_message_is_edited_reacted_to_and_recalled(rest):
    assert said(entries.edit, "@bob", 1, "better") == ["edited: alice~bob #1"]
    assert said(entries.react, "bob", 1, "👍") == ["put 👍 on: alice~bob #1"]
    assert said(entries.react, "bob", 1, "👍", remove=True) == ["took 👍 back from: alice~bob #1"]
    assert said(entries.recall, "alice~bob", 1) == ["recalled: alice~bob #1"]
    assert [entry["type"] for entry in rest.server.log["alice~bob"]] == [
        "message",
        "edited",
        "reaction",
        "reaction",
        "recalled",
    ]


def test_history_shows_what_a_message_says_now_and_to_programs_how_that_came_about(rest):
    entries.edit("bob", 1, "better")
    terminal.send("bob", "second")
    assert [line.split("  ", 1)[1] for line in said(terminal.history, "bob")] == [
        "#1  alice       -> bob: better (edited)",
        "#3  alice       -> bob: second",
    ]
    assert [item.get("type", "message") for item in data(terminal.history, "bob")] == [
        "message",
        "edited",
        "message",
    ]
    assert len(rest.server.log["alice~bob"]) == 3


def test_the_same_id_is_done_once_and_the_answer_says_so(rest):
    first, second = (data(entries.edit, "bob", 1, "better", request_id="mine")[0] for _ in range(2))
    assert (first["id"], first["message_id"], first["dup"], second["dup"]) == ("mine", 2, False, True)
    assert said(entries.edit, "bob", 1, "better", request_id="mine") == [
        "edited: alice~bob #1 (it was there already)"
    ]
    assert len(rest.server.log["alice~bob"]) == 2
    with pytest.raises(TerminalError, match="64"):
        entries.edit("bob", 1, "x", request_id="x" * 65)


@pytest.mark.usefixtures("rest")
def test_a_refusal_is_one_clear_line_with_its_code():
    for command, code in (
        (lambda: entries.edit("bob", 99, "x"), "not_found"),
        (lambda: entries.react("bob", 1, ""), "bad_request"),
        (lambda: groups.show(GROUP), "not_a_member"),
        (lambda: people.contact_accept("bob"), "not_found"),
        (lambda: entries.recall("No User", 1), "bad_request"),
        (lambda: account.delete("wrong"), "unauthorized"),
    ):
        with pytest.raises(TerminalError) as caught:
            command()
        assert caught.value.code == code
        assert "\n" not in caught.value.detail


def test_what_the_server_could_not_do_now_is_tried_again_under_the_same_id(rest):
    rest.failures = [rest.problem(503, "unavailable", "busy")]
    assert entries.edit("bob", 1, "better").message_id == 2
    rest.failures = [rest.problem(429, "rate_limited", "slow down", **{"Retry-After": "60"})]
    with pytest.raises(TerminalError, match="slow down") as caught:
        entries.edit("bob", 1, "best", request_id="mine")
    assert "--id mine" in caught.value.hint
    rest.failures = [rest.problem(429, "rate_limited", "slow down", **{"Retry-After": "60"})]
    with pytest.raises(TerminalError) as caught:
        people.block_add("bob")
    assert caught.value.hint.endswith("run it again")


def test_a_token_that_ended_is_refreshed_on_the_way(rest):
    rest.sessions.clear()
    assert said(entries.delete, "bob", 1) == ["deleted for you: alice~bob #1"]
    assert rest.server.deleted == [("alice", "alice~bob", 1)]
    assert ProfileFile().read().access_token == "access2"


def test_a_message_is_sent_on_to_a_user_or_a_group(rest):
    rest.server.create_group(GROUP, "alice", "bob")
    assert said(entries.forward, "bob", 1, "carol") == ["sent: alice~carol #1"]
    assert said(entries.forward, "bob", 1, "@alice") == ["sent: alice~alice #1"]
    assert said(entries.forward, "bob", 1, GROUP, text="look") == [f"sent: {GROUP} #2"]
    assert rest.server.log[GROUP][1]["forward_of"] == {"conv": "alice~bob", "message_id": 1}


def test_messages_are_read_and_conversations_muted_and_heard_again(rest):
    assert said(entries.read, "bob", 1) == ["read: alice~bob up to #1"]
    assert said(entries.mute, "bob", until=9_000) == ["muted: alice~bob"]
    assert data(entries.mute, "bob", remove=True) == [{"ok": True, "conv": "alice~bob", "muted": False}]
    assert rest.server.reads == [("alice", "alice~bob", 1)]


def test_a_group_is_made_shown_and_changed(rest):
    (made,) = said(groups.create, "Riders", ["bob", "@carol"], posting="admins")
    conv = made.split()[-1]
    rest.server.page_limit = 2
    assert said(groups.add, conv, "dave") == [f"added dave to {conv}"]
    assert said(groups.add, conv, "bob", role="admin") == [f"bob is admin of {conv}"]
    assert said(groups.mute, conv, "carol", until=1) == [f"silenced carol in {conv}"]
    name, settings, *members = said(groups.show, conv)
    assert name == f"Riders  {conv}  small, 4 members"
    assert settings == "newcomers see what comes after they joined; only admins may write"
    assert [line.split()[:2] for line in members] == [
        ["alice", "owner"],
        ["bob", "admin"],
        ["carol", "member"],
        ["dave", "member"],
    ]
    assert "silenced until" in members[2]
    (shown,) = data(groups.show, conv)
    assert (shown["conv"], shown["posting"], len(shown["members"])) == (conv, "admins", 4)
    assert said(groups.mute, conv, "carol", remove=True) == [f"carol may write to {conv} again"]
    assert said(groups.update, conv, name="Night riders") == [f"changed: {conv}"]
    assert said(groups.remove, conv, "dave") == [f"removed dave from {conv}"]
    assert said(groups.dissolve, conv) == [f"dissolved {conv}"]


def test_a_code_is_made_listed_used_and_taken_back(rest):
    rest.server.create_group(GROUP, "alice", "bob")
    assert said(groups.invite, GROUP, uses=3)[0].startswith("code1")
    assert data(groups.invites, GROUP) == [{"code": "code1", "uses": 3}]
    assert said(groups.leave, GROUP) == [f"left {GROUP}"]
    assert said(groups.join, "code1") == [f"joined {GROUP}"]
    assert said(groups.uninvite, GROUP, "code1") == ["the code is good no more: code1"]
    assert said(groups.invites, GROUP) == []


def test_contacts_are_asked_for_listed_and_removed(rest):
    assert said(people.contact_request, "@bob", "we met") == ["asked bob to be a contact"]
    assert said(people.contact_list)[0].split(maxsplit=1) == ["bob", "you asked"]
    assert data(people.contact_list) == [{"user": "bob", "state": "requested", "since": 5}]
    rest.server.contacts["alice", "bob"] = "accepted"
    rest.server.make_contact_request = lambda *_: ({"user": "bob", "state": "accepted"}, [])
    assert said(people.contact_request, "bob") == ["bob is a contact"]
    rest.server.contacts["alice", "carol"] = "received"
    assert said(people.contact_accept, "carol") == ["carol is a contact now"]
    assert said(people.contact_remove, "bob") == ["bob is no contact"]
    assert said(people.contact_list) == ["carol"]


@pytest.mark.usefixtures("rest")
def test_people_are_blocked_listed_and_let_go():
    assert said(people.block_add, "mallory") == ["mallory is blocked"]
    assert said(people.block_list) == ["mallory"]
    assert said(people.block_remove, "mallory") == ["mallory is no longer blocked"]
    assert data(people.block_list) == []


def test_who_is_there_who_is_found_and_what_is_reported(rest):
    rest.server.states = {"bob": {"state": "away", "last_seen": 1_700_000_000_000}}
    first, second = said(people.who, ["@bob", "carol"])
    assert first.split()[:2] == ["bob", "away,"]
    assert "last seen 2023-11-1" in first
    assert second.split() == ["carol", "offline"]
    assert data(people.who, ["bob"])[0]["state"] == "away"
    assert [line.split() for line in said(people.search, "bo")] == [["bob"]]
    assert data(people.search, "nobody") == []
    assert said(people.report, "spam", conversation="bob", message_id=1) == ["the server's admins were told"]
    assert rest.server.reports == [("alice", {"reason": "spam", "conv": "alice~bob", "message_id": 1})]


def test_the_profile_is_shown_and_changed(rest):
    assert [line.split() for line in said(account.show)][:3] == [
        ["user", "alice"],
        ["display", "name", "-"],
        ["about", "-"],
    ]
    changed = said(account.update, display_name="Alice L.", privacy={"search": False})
    assert ["search", "no"] in [line.split() for line in changed]
    assert data(account.show)[0]["display_name"] == "Alice L."
    assert said(account.password, "pw", "longer than before") == [
        "the password is changed; all other logins have ended"
    ]
    assert rest.passwords["alice"] == "longer than before"


def test_devices_are_listed_made_and_removed(rest):
    rest.devices = [
        {"device": "laptop", "allow": ["send", "receive"], "logged_in": True, "current": True, "seen_ts": 1},
        {"device": "sensor", "allow": ["send"], "has_secret": True},
    ]
    here, sensor = said(account.devices)
    assert here.split()[:3] == ["laptop", "login", "send,receive"]
    assert here.endswith("(this one)")
    assert sensor.split() == ["sensor", "secret", "send"]
    assert said(account.device_add, "sensor", "pw", ["send"]) == ["s3cret"]
    assert data(account.device_add, "sensor", "pw")[0]["secret"] == "s3cret"
    assert said(account.device_remove, "sensor") == ["removed sensor"]
    assert [row["device"] for row in data(account.devices)] == ["laptop"]


def test_what_happened_to_the_account_is_listed(rest):
    rest.audit = [
        {
            "ts": 1_700_000_000_000,
            "event": "login",
            "device": "phone",
            "address": "192.0.2.1",
            "detail": {"count": 3},
        }
    ]
    (line,) = said(account.security)
    assert line.split()[2:] == ["login", "phone", "192.0.2.1", "count:", "3"]
    assert data(account.security)[0]["event"] == "login"


def test_everything_is_saved_to_a_file_that_is_not_there_yet(rest, tmp_path, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("profile.json", "{}")
    monkeypatch.setattr(rest, "as_account", lambda *_: (200, content.getvalue(), {}))
    path = tmp_path / "alice.zip"
    assert said(account.export, path) == [f"{len(content.getvalue())} bytes are in {path}"]
    assert zipfile.ZipFile(path).namelist() == ["profile.json"]
    with pytest.raises(TerminalError, match="cannot write"):
        account.export(path)


def test_a_deleted_account_leaves_no_login_behind(profile_path):
    with FakeRest(FakeServer()) as rest:
        rest.passwords = {"alice": "pw"}
        terminal.login(rest.url, "alice", "pw", "laptop")
        assert said(account.delete, "pw") == ["the account is gone"]
        assert rest.passwords == {}
    assert not profile_path.exists()


def test_conversations_are_listed_page_by_page(rest, monkeypatch):
    rows = [
        {
            "conv": "alice~bob",
            "head": 3,
            "unread": 2,
            "mentions": 1,
            "muted_until": 9,
            "last": {"message_id": 3, "from": "bob", "kind": "text", "ts": 1, "text": "hi"},
        },
        {"conv": GROUP, "kind": "group", "head": 1, "name": "Riders"},
    ]
    monkeypatch.setattr(
        rest.server,
        "do_conversations",
        lambda _user, _device, query: {
            "conversations": rows[1:] if query.get("after") else rows[:1],
            "more": not query.get("after"),
        },
    )
    first, second = said(account.conversations)
    assert first == "alice~bob  #3  2 unread, 1 of you  (muted)  bob: hi"
    assert second.split() == [GROUP, "Riders", "#1"]
    assert [row["conv"] for row in data(account.conversations)] == ["alice~bob", GROUP]


def test_a_message_answers_another_one_and_names_people(rest):
    terminal.send("bob", "yes", reply_to=1, mentions=["@bob", "@all"])
    assert rest.server.log["alice~bob"][1]["reply_to"] == 1
    assert rest.server.log["alice~bob"][1]["mentions"] == ["bob", "@all"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"text": "x", "edited": 5}, "x (edited)"),
        ({"recalled": True, "edited": 5}, "(recalled)"),
        ({"expired": True}, "(expired)"),
        ({"deleted": True}, "(deleted)"),
        ({"text": "x", "reply_to": 3}, "(to #3) x"),
        ({"text": "x", "forward_of": {"conv": "g", "message_id": 1}}, "(forwarded) x"),
        ({"text": "x", "reactions": [{"emoji": "👍", "count": 2, "users": []}]}, "x [👍 2]"),
        ({"type": "edited", "kind": "", "target": 3, "text": "x"}, "(edited #3)"),
        ({"type": "reaction", "kind": "", "target": 3, "emoji": "👍"}, "(👍 on #3)"),
        (
            {"type": "reaction", "kind": "", "target": 3, "emoji": "👍", "removed": True},
            "(took back 👍 on #3)",
        ),
        ({"type": "moonrise", "kind": ""}, "(moonrise)"),
        (
            {"type": "member", "kind": "", "action": "role", "user": "bob", "role": "admin"},
            "(role: bob admin)",
        ),
        (
            {"type": "conversation", "kind": "", "action": "settings", "posting": "admins"},
            "(settings: admins)",
        ),
    ],
)
def test_what_was_done_to_a_message_is_seen_in_its_line(message, shown):
    fields = {"conv": "alice~bob", "message_id": 7, **message}
    decoded = Update(1, "e", "message", json.dumps(fields).encode()).message()
    assert wording.content(decoded) == shown


def change(type_, **fields):
    return Update(7, "e", type_, json.dumps({"ts": 1, "conv": GROUP, "message_id": 4, **fields}).encode())


@pytest.mark.parametrize(
    ("happened", "shown"),
    [
        (change("edited", **{"from": "bob"}, target=3, text="better"), f"[{GROUP}] bob edited #3: better"),
        (change("edited", **{"from": "bob"}, target=3, body={"a": 1}), f'[{GROUP}] bob edited #3: {{"a":1}}'),
        (change("edited", **{"from": "bob"}, target=3, truncated=True), f"[{GROUP}] bob edited #3"),
        (change("recalled", **{"from": "bob"}, target=3), f"[{GROUP}] bob recalled #3"),
        (change("recalled", target=3, expired=True), f"[{GROUP}] #3 expired"),
        (change("reaction", **{"from": "bob"}, target=3, emoji="👍"), f"[{GROUP}] bob put 👍 on #3"),
        (
            change("reaction", **{"from": "bob"}, target=3, emoji="👍", removed=True),
            f"[{GROUP}] bob took 👍 back from #3",
        ),
        (change("deleted", target=3), f"[{GROUP}] you deleted #3 for yourself"),
        (change("member", action="role", user="bob", by="alice", role="admin"), "bob is admin now, by alice"),
        (change("member", action="muted", user="bob", by="alice"), "bob was silenced by alice"),
        (change("member", action="unmuted", user="bob", by="alice"), "bob may write again, says alice"),
        (change("conversation", action="renamed", by="alice", name="R"), "alice named the group R"),
        (
            change("conversation", action="settings", by="alice", posting="admins"),
            "alice changed the group: posting admins",
        ),
        (change("conversation", action="dissolved", by="alice"), "alice dissolved the group"),
        (change("conversation", action="muted"), "muted"),
        (change("conversation", action="unmuted"), "no longer muted"),
        (change("contact", action="received", user="bob", text="we met"), "bob asks to be a contact: we met"),
        (change("contact", action="requested", user="bob"), "you asked bob to be a contact"),
        (change("contact", action="accepted", user="bob"), "bob is a contact now"),
        (change("contact", action="removed", user="bob"), "bob is no contact any more"),
        (change("contact", action="blocked", user="bob"), "bob is blocked"),
        (change("contact", action="unblocked", user="bob"), "bob is no longer blocked"),
        (change("contact", action="waved", user="bob"), "bob: waved"),
        (
            change("system", event="push_gone", device="phone", service="fcm", reason="404"),
            "the server: push_gone on phone (404)",
        ),
    ],
)
def test_what_happened_is_one_line(happened, shown):
    out = Output(io.StringIO())
    out.update(happened)
    (line,) = out.stream.getvalue().splitlines()
    assert line.endswith(shown)


def test_there_are_words_for_every_type_of_update():
    named = {"action": "new", "user": "bob", "target": 3, "emoji": "+"}
    for type_ in BY_TYPE:
        assert wording.told(change(type_, **named).typed())


def test_a_line_has_the_number_by_which_a_message_is_called():
    out = Output(io.StringIO())
    out.message(Message(conv="alice~bob", message_id=12, from_="bob", text="hi", ts=1), "alice")
    assert out.stream.getvalue().split()[2:] == ["#12", "bob", "hi"]
