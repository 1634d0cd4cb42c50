"""Groups, by the library."""

import pytest

from pabal.errors import BadRequest, NotAMember, NotFound
from pabal_client import GroupChange, MemberChange, Snapshot


@pytest.fixture
def client(open_client):
    return open_client()


@pytest.fixture
def conv(client):
    return client.groups.create("Riders", ["bob"], history="all").wait(60).conv


def changes(client, count):
    found = []
    for update in client.updates(timeout=60):
        value = update.typed()
        if isinstance(value, GroupChange | MemberChange):
            found.append(value)
        if len(found) == count:
            return found
    raise AssertionError(found)


def test_a_group_is_made_shown_changed_and_dissolved(client, conv):
    groups = client.groups
    assert groups.get(conv, timeout=60).history == "all"
    groups.add(conv, "@carol").wait(60)
    groups.add(conv, "bob", role="admin").wait(60)
    groups.update(conv, name="Night riders").wait(60)
    groups.update(conv, posting="admins", history="join").wait(60)
    group = groups.get(conv, timeout=60)
    assert (group.conv, group.name, group.posting, group.history) == (conv, "Night riders", "admins", "join")
    assert [(member.user, member.role) for member in group.members] == [
        ("alice", "owner"),
        ("bob", "admin"),
        ("carol", "member"),
    ]
    groups.mute(conv, "carol", until=9_000).wait(60)
    assert groups.get(conv, timeout=60).members[2].muted_until == 9_000
    groups.unmute(conv, "carol").wait(60)
    groups.remove(conv, "carol").wait(60)
    groups.transfer(conv, "bob").wait(60)
    groups.dissolve(conv).wait(60)
    assert [one.action for one in changes(client, 10)] == [
        "created",
        "joined",
        "role",
        "renamed",
        "settings",
        "muted",
        "unmuted",
        "removed",
        "role",
        "dissolved",
    ]
    with pytest.raises(NotAMember):
        groups.get(conv, timeout=60)


def test_changes_of_groups_have_what_changed(client, conv):
    client.groups.update(conv, name="Night riders").wait(60)
    client.groups.add(conv, "bob", role="admin").wait(60)
    client.groups.mute(conv, "bob", until=9_000).wait(60)
    created, renamed, role, muted = changes(client, 4)
    assert (created.name, created.members, created.by) == ("Riders", ["alice", "bob"], "alice")
    assert (renamed.name, renamed.conv) == ("Night riders", conv)
    assert (role.user, role.role) == ("bob", "admin")
    assert (muted.user, muted.until) == ("bob", 9_000)


def test_a_code_lets_in_who_has_it_until_it_is_taken_back(broker, client, open_client, conv):
    invite = client.groups.invite(conv, expires_in=60, uses=2, timeout=60)
    assert (invite.code, invite.uses) == ("code1", 2)
    assert [one.code for one in client.groups.invites(conv, timeout=60)] == ["code1"]
    dave = open_client("dave")
    assert dave.groups.join(invite.code).wait(60).conv == conv
    assert broker.server.in_room("dave", conv)
    dave.groups.leave(conv).wait(60)
    client.groups.uninvite(conv, invite.code).wait(60)
    assert client.groups.invites(conv, timeout=60) == []
    with pytest.raises(NotFound):
        dave.groups.join(invite.code).wait(60)


def test_a_group_asked_for_while_there_is_no_server_is_made_once(broker, open_client, client):
    client.wait_online(60)
    broker.refuse = [3] * 100_000
    broker.drop_all()
    client.groups.create("Riders", ["bob"])
    client.close()
    broker.refuse = []
    again = open_client()
    for number in range(4):
        broker.drop_next = number % 2 == 0
        again.groups.create(f"Group {number}").wait(60)
    assert sorted(group.name for group in broker.server.groups.values()) == [
        "Group 0",
        "Group 1",
        "Group 2",
        "Group 3",
        "Riders",
    ]


def test_changes_of_one_group_keep_their_order_over_a_connection_that_breaks(broker, client, conv):
    waiting = []
    for number in range(12):
        waiting.append(client.groups.update(conv, name=f"Riders {number}"))
        waiting.append(client.send_nowait(conv=conv, text=str(number)))
        broker.drop_next = number % 4 == 1
    assert [one.wait(60).message_id for one in waiting] == list(range(2, 26))
    said = [entry.get("name", entry.get("text")) for entry in broker.server.log[conv][1:]]
    assert said == [word for number in range(12) for word in (f"Riders {number}", str(number))]


def test_what_the_server_would_refuse_is_refused_at_once(client):
    with pytest.raises(BadRequest, match="name"):
        client.groups.create("")
    with pytest.raises(BadRequest):
        client.groups.add("gaaaaaaaaaaaa", "No Such Name")
    with pytest.raises(BadRequest):
        client.groups.leave("No Such Group")
    assert client.unsent == 0


def test_a_large_group_that_is_dissolved_is_followed_no_more(online):
    server = online.server
    online.arrive(server.create_group("gaaaaaaaaaaaa", "bob", "alice", "carol", limit=2))
    online.answer()
    assert online.session.rooms.positions() == {"gaaaaaaaaaaaa": 1}
    told = server.push(
        "alice", type="conversation", action="dissolved", conv="gaaaaaaaaaaaa", message_id=2, mode="large"
    )
    online.arrive([told])
    assert online.session.rooms.positions() == {}
    assert online.marks["gaaaaaaaaaaaa"] is None
    assert not any(isinstance(update.typed(), Snapshot) for update in online.taken)


def test_an_edit_of_a_large_group_looks_alike_from_the_room_and_from_history(online):
    server = online.server
    online.arrive(server.create_group("gaaaaaaaaaaaa", "alice", "bob", "carol", limit=2))
    online.answer()
    for number in range(2):
        online.arrive(server.commit("bob", "pc", {"conv": "gaaaaaaaaaaaa", "text": str(number)})[1])
    request = {"conv": "gaaaaaaaaaaaa", "target": 2, "text": "better"}
    online.arrive(server.make_edit("bob", "pc", request)[1])
    server.make_edit("bob", "pc", request)  # the room drops this one
    online.arrive(server.commit("bob", "pc", {"conv": "gaaaaaaaaaaaa", "text": "last"})[1])
    online.wait(1)
    online.answer()
    edits = [update.typed() for update in online.taken if update.type == "edited"]
    assert [(one.message_id, one.from_, one.target, one.text) for one in edits] == [
        (4, "bob", 2, "better"),
        (5, "bob", 2, "better"),
    ]
