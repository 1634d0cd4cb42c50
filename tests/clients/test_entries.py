"""What is done about messages that were sent, by the library."""

import json

import pytest
from people import wait_for

from pabal.errors import BadRequest, Forbidden, NotFound
from pabal_client import Deleted, Edited, Message, NotConfirmed, Reaction, Recalled, Source, Update, events


@pytest.fixture
def client(open_client):
    client = open_client()
    client.send(to="bob", text="first", timeout=60)
    return client


def of_type(client, *types):
    """The next updates of these types, one of each, in that order."""
    wanted = list(types)
    found = []
    for update in client.updates(timeout=60):
        value = update.typed()
        if wanted and isinstance(value, wanted[0]):
            found.append(value)
            wanted.pop(0)
        if not wanted:
            break
    return found


def test_an_edit_a_reaction_and_a_recall_are_answered_and_come_as_updates_with_a_type(client):
    edited = client.edit("@bob", 1, text="better").wait(60)
    reacted = client.react("bob", 1, "👍").wait(60)
    taken = client.react("alice~bob", 1, "👍", remove=True).wait(60)
    recalled = client.recall("bob", 1).wait(60)
    assert [one.message_id for one in (edited, reacted, taken, recalled)] == [2, 3, 4, 5]
    assert edited.conv == "alice~bob"
    first, edit, put, back, gone = of_type(client, Message, Edited, Reaction, Reaction, Recalled)
    assert (first.message_id, edit.target, edit.text, edit.from_) == (1, 1, "better", "alice")
    assert (put.emoji, put.removed, back.removed) == ("👍", False, True)
    assert (gone.target, gone.expired) == (1, False)


def test_history_shows_what_was_edited_and_what_was_recalled(client):
    client.send(to="bob", text="second", timeout=60)
    client.edit("bob", 1, text="better").wait(60)
    client.recall("bob", 2).wait(60)
    items = client.history("bob", timeout=60).items
    assert (items[0].text, items[0].edited is not None) == ("better", True)
    assert (items[1].text, items[1].recalled) == (None, True)
    assert [(item.type, item.target, item.from_) for item in items[2:]] == [
        ("edited", 1, "alice"),
        ("recalled", 2, "alice"),
    ]


def test_a_message_deleted_for_oneself_is_told_to_ones_own_devices(broker, client):
    client.delete("bob", 1).wait(60)
    assert broker.server.deleted == [("alice", "alice~bob", 1)]
    (told,) = of_type(client, Deleted)
    assert (told.conv, told.target) == ("alice~bob", 1)


def test_what_is_asked_while_there_is_no_server_is_done_once_by_the_next_run(broker, open_client, client):
    broker.refuse = [3] * 100_000
    broker.drop_all()
    waiting = [
        client.edit("bob", 1, text="better"),
        client.react("bob", 1, "👍"),
        client.send_nowait(to="bob", text="second"),
        client.recall("bob", 1),
    ]
    with pytest.raises(NotConfirmed) as caught:
        waiting[0].wait(0.05)
    assert caught.value.id == waiting[0].id
    assert client.unsent == 4
    client.close()
    broker.refuse = []
    told = []
    again = open_client(on_event=told.append)
    again.flush(60)
    log = broker.server.log["alice~bob"]
    assert [entry["type"] for entry in log] == ["message", "edited", "reaction", "message", "recalled"]
    assert [entry["id"] for entry in log[1:]] == [one.id for one in waiting]
    # Told by a thread of its own, which a close would end with what it has not told yet.
    ids = [one.id for one in waiting]
    wait_for(lambda: [event.id for event in told if isinstance(event, events.Sent)] == ids, "the events")
    again.close()


def test_an_answer_that_was_lost_is_asked_for_under_the_same_id(broker, client):
    for number in range(6):
        broker.drop_next = number % 2 == 0
        client.edit("bob", 1, text=str(number)).wait(60)
    log = broker.server.log["alice~bob"]
    assert [entry.get("text") for entry in log[1:]] == [str(number) for number in range(6)]
    assert log[0]["text"] == "5"


def test_a_refusal_says_why_and_leaves_the_outbox(broker, client):
    broker.peer_says("of bob")
    with pytest.raises(Forbidden):
        client.edit("bob", 2, text="mine now").wait(60)
    with pytest.raises(NotFound):
        client.recall("bob", 99).wait(60)
    assert client.unsent == 0
    assert client.edit("bob", 1, text="better").wait(60).message_id == 3


def test_what_the_server_would_refuse_is_refused_at_once(client):
    with pytest.raises(BadRequest, match="text"):
        client.edit("bob", 1)
    with pytest.raises(BadRequest, match="target"):
        client.recall("bob", 0)
    with pytest.raises(BadRequest, match="emoji"):
        client.react("bob", 1, "")
    with pytest.raises(BadRequest):
        client.edit("No Such Name", 1, text="x")
    assert client.unsent == 0


def test_a_message_is_forwarded_answered_and_given_an_end(broker, client):
    client.forward("bob", 1, to="carol").wait(60)
    client.forward("@bob", 1, conv="alice~dave", text="look").wait(60)
    assert broker.server.log["alice~carol"][0]["forward_of"] == {"conv": "alice~bob", "message_id": 1}
    assert broker.server.log["alice~dave"][0]["text"] == "look"
    client.send(to="bob", text="yes", reply_to=1, mentions=["bob"], expires_in=60, timeout=60)
    sent = broker.server.log["alice~bob"][1]
    assert (sent["reply_to"], sent["mentions"], sent["expires_in"]) == (1, ["bob"], 60)
    with pytest.raises(BadRequest, match="expires_in"):
        client.send(to="bob", text="x", expires_in=0)
    with pytest.raises(BadRequest):
        client.forward("bob", 1)


def test_what_a_forward_and_an_end_say_is_read(client):
    update = {"conv": "alice~bob", "message_id": 2, "text": "x", "expires": 9, "expired": True}
    update["forward_of"] = {"conv": "g1", "message_id": 4, "from": "carol"}
    message = Update(7, "e", "message", json.dumps(update).encode()).message()
    assert (message.forward_of, message.expires, message.expired) == (
        Source(conv="g1", message_id=4, from_="carol"),
        9,
        True,
    )
    assert client.unsent == 0


def test_a_conversation_is_muted_for_oneself_and_heard_again(broker, client):
    client.mute("bob", until=5_000).wait(60)
    assert broker.server.muted == {("alice", "alice~bob"): 5_000}
    client.unmute("bob").wait(60)
    assert broker.server.muted == {("alice", "alice~bob"): None}


def test_reading_takes_the_name_of_a_user_too(broker, client):
    client.read("@bob", 1).wait(60)
    assert broker.server.reads == [("alice", "alice~bob", 1)]


def test_something_is_reported_with_a_reason(broker, client):
    client.report("spam", conv="bob", message_id=1, text="again and again").wait(60)
    client.report("abuse", user="@bob").wait(60)
    assert broker.server.reports == [
        ("alice", {"conv": "alice~bob", "message_id": 1, "reason": "spam", "text": "again and again"}),
        ("alice", {"user": "bob", "reason": "abuse"}),
    ]
