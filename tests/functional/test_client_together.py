"""Each area of the library against the real server: messages later on, groups, people."""

import queue

import pytest

from pabal.errors import Blocked, Forbidden, NotAMember, NotFound
from pabal_client import (
    ContactChange,
    Deleted,
    Edited,
    Message,
    Reaction,
    Recalled,
    Receipt,
    Typing,
)

pytestmark = pytest.mark.functional


def until(told, condition, again=lambda: None):
    """The first of what is told that fits; `again` is called while nothing does."""
    for _ in range(300):
        try:
            value = told.get(timeout=0.5)
        except queue.Empty:
            again()
            continue
        if condition(value):
            return value
    raise AssertionError("it was never told")


def values(client, count):
    updates = client.updates(timeout=60)
    return [next(updates).typed() for _ in range(count)]


def test_messages_are_changed_forwarded_and_gone_and_everybody_hears_of_it(open_client):
    told = queue.Queue()
    alice, bob = open_client("alice", on_live=told.put, on_update=lambda _: None), open_client("bob")
    carol = open_client("carol")
    for client in (alice, bob, carol):
        client.wait_online(60)
    alice.send(to="bob", text="helo", timeout=60)
    alice.edit("bob", 1, text="hello").wait(60)
    bob.react("alice", 1, "👍").wait(60)
    with pytest.raises(Forbidden):
        bob.edit("alice", 1, text="bye").wait(60)
    alice.send(to="bob", text="not this", timeout=60)
    alice.recall("bob", 4).wait(60)
    assert alice.send(to="bob", text="for an hour", expires_in=3600, reply_to=1, timeout=60).message_id == 6
    first, edited, reaction, second, recalled, short = values(bob, 6)
    kinds = [type(one) for one in (first, edited, reaction, second, recalled, short)]
    assert kinds == [Message, Edited, Reaction, Message, Recalled, Message]
    assert (edited.target, edited.text, reaction.emoji, recalled.target) == (1, "hello", "👍", 4)
    assert short.expires > short.ts
    bob.forward("alice", 1, to="carol").wait(60)
    (forwarded,) = values(carol, 1)
    assert (forwarded.text, forwarded.forward_of.from_, forwarded.from_) == ("hello", "alice", "bob")
    bob.delete("alice", 6).wait(60)
    assert [one.target for one in values(bob, 2) if isinstance(one, Deleted)] == [6]
    items = {item.message_id: item for item in bob.history("alice", timeout=60).items}
    assert (items[1].text, items[1].edited is not None, items[1].reactions[0].users) == (
        "hello",
        True,
        ["bob"],
    )
    assert (items[4].text, items[4].recalled) == (None, True)
    assert 6 not in items or items[6].text is None

    bob.read("alice", 6).wait(60)
    until(told, lambda one: isinstance(one, Receipt) and (one.user, one.read) == ("bob", 6))
    receipts = {one.user: one for one in alice.history("bob", timeout=60).receipts}
    assert receipts["bob"].read == 6

    def types():
        bob.typing("alice", on=False)
        bob.typing("alice")

    assert until(told, lambda one: isinstance(one, Typing) and one.on, types).conv == "alice~bob"
    until(told, lambda one: isinstance(one, Typing) and not one.on, lambda: bob.typing("alice", on=False))


def test_a_group_has_its_whole_life_over_a_server_that_is_killed(server, open_client):
    alice, bob, carol = (open_client(name) for name in ("alice", "bob", "carol"))
    open_client("dave").wait_online(60)
    for client in (bob, carol):
        client.wait_online(60)
    conv = alice.groups.create("Riders", ["bob"], posting="admins").wait(60).conv
    with pytest.raises(Forbidden):
        bob.send(conv=conv, text="may I?", timeout=60)
    invite = alice.groups.invite(conv, expires_in=600, uses=1, timeout=60)
    assert carol.groups.join(invite.code).wait(60).conv == conv
    with pytest.raises(NotFound):
        open_client("dave", "tablet").groups.join(invite.code).wait(60)
    server.kill()
    waiting = [
        alice.send_nowait(conv=conv, text="one"),
        alice.groups.add(conv, "carol", role="admin"),
        alice.groups.update(conv, name="Night riders"),
        alice.send_nowait(conv=conv, text="two"),
    ]
    server.restart()
    assert [one.wait(120).message_id for one in waiting] == [3, 4, 5, 6]
    group = bob.groups.get(conv, timeout=60)
    assert (group.name, group.posting) == ("Night riders", "admins")
    assert [(one.user, one.role) for one in group.members] == [
        ("alice", "owner"),
        ("bob", "member"),
        ("carol", "admin"),
    ]
    bob.mute(conv).wait(60)
    assert [row.muted_until is not None for row in bob.conversations(timeout=60).conversations] == [True]
    alice.groups.transfer(conv, "carol").wait(60)
    carol.groups.mute(conv, "bob").wait(60)
    carol.groups.dissolve(conv).wait(60)
    with pytest.raises(NotAMember):
        alice.send(conv=conv, text="still here?", timeout=60)
    bob.sync(60)
    seen = [update.typed() for update in bob.updates(timeout=0.5)]
    assert [one.message_id for one in seen if one.message_id] == list(range(1, len(seen)))
    assert [one.action for one in seen if not isinstance(one, Message)] == [
        "created",
        "joined",
        "role",
        "renamed",
        "muted",
        "role",
        "role",
        "muted",
        "dissolved",
    ]


def test_two_become_contacts_see_each_other_and_part(open_client):
    seen, heard = queue.Queue(), queue.Queue()
    alice = open_client("alice", on_presence=seen.put, on_update=lambda update: heard.put(update.typed()))
    bob = open_client("bob")
    for client in (alice, bob):
        client.wait_online(60)
    alice.watch(["bob"])
    assert alice.contacts.request("bob", "we met").wait(60).state == "requested"
    assert [(row.user, row.state) for row in bob.contacts.list(timeout=60)] == [("alice", "received")]
    bob.contacts.accept("alice").wait(60)
    until(heard, lambda one: isinstance(one, ContactChange) and one.action == "accepted")
    until(seen, lambda one: one.state == "online")
    bob.status("away")
    until(seen, lambda one: one.state == "away")
    assert alice.presence(["bob"], timeout=60)["bob"].state == "away"
    bob.blocks.add("alice").wait(60)
    assert until(seen, lambda one: one.state == "offline").user == "bob"
    with pytest.raises(Blocked):
        alice.send(to="bob", text="why?", timeout=60)
    assert [row.user for row in bob.blocks.list(timeout=60)] == ["alice"]
    assert alice.report("rude", user="bob").wait(60).report == 1
    bob.blocks.remove("alice").wait(60)
    assert alice.send(to="bob", text="again", timeout=60).message_id == 1
    assert [one.user for one in bob.search("ali", timeout=60).users] == ["alice"]
