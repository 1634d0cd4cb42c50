import doctest
import json
import logging
import queue
import threading
from contextlib import suppress

import pytest

import pabal_client.client
from pabal.errors import BadRequest, Blocked, TooLarge, Unauthorized
from pabal_client import (
    Client,
    ClientError,
    Closed,
    Kicked,
    LoginRefused,
    NotConfirmed,
    OutboxFull,
    StoreInUse,
    Unreachable,
    backoff,
    events,
    runner,
    transport,
)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(backoff, "reconnect_delay", lambda *_: 0.01)


def test_the_example_of_the_documentation_runs(broker, tmp_path):
    globs = {"Client": Client, "broker": f"127.0.0.1:{broker.port}", "secret": "s", "folder": tmp_path}
    test = doctest.DocTestParser().get_doctest(pabal_client.client.__doc__, globs, "client", None, None)
    report = []
    failed = doctest.DocTestRunner().run(test, out=report.append).failed
    assert not failed, "".join(report)


def test_a_message_is_sent_and_comes_to_the_sender_too(broker, open_client):
    client = open_client()
    committed = client.send(to="bob", text="hi")
    assert (committed.conv, committed.message_id, committed.dup) == ("alice~bob", 1, False)
    message = next(client.messages(timeout=60))
    assert (message.from_, message.text, message.seq) == ("alice", "hi", 1)
    assert broker.connects[0] == ("alice:phone", "alice", "secret")
    assert client.online
    assert client.error is None


def test_the_state_of_the_device_is_told_with_a_counter_and_left_as_a_will(broker, open_client):
    for told in (2, 4):
        client = open_client()
        client.wait_online(60)
        client.close()
        # The broker reads each connection in a thread of its own: the next one could be read first.
        broker.wait_for(lambda told=told: len(broker.status) == told)
    assert [json.loads(status) for status in broker.status] == [
        {"state": "online", "n": 1},
        {"state": "offline", "n": 1},
        {"state": "online", "n": 2},
        {"state": "offline", "n": 2},
    ]
    assert broker.wills[1] == ("pabal/v1/status/alice/phone", b'{"state":"offline","n":2}')


def test_order_is_kept_over_a_connection_that_breaks_again_and_again(broker, open_client):
    client = open_client()
    client.wait_online(60)
    pending = []
    for number in range(60):
        pending.append(client.send_nowait(to="bob", text=str(number)))
        if number % 10 == 5:
            broker.drop_next = True
    assert [one.wait(60).message_id for one in pending] == list(range(1, 61))
    assert [entry["text"] for entry in broker.server.log["alice~bob"]] == [str(n) for n in range(60)]
    client.flush(60)
    assert client.unsent == 0


def test_messages_sent_while_there_is_no_server_outlive_the_program(broker, open_client):
    broker.refuse = [3] * 100_000
    first = open_client()
    pending = first.send_nowait(to="bob", text="one")
    first.send_nowait(to="bob", text="two")
    with pytest.raises(NotConfirmed) as caught:
        pending.wait(0.05)
    assert caught.value.id == pending.id
    assert first.unsent == 2
    with pytest.raises(TimeoutError):
        first.flush(0.05)
    with pytest.raises(TimeoutError):
        first.wait_online(0.05)
    first.close()
    with pytest.raises(Closed):
        pending.wait()
    broker.refuse = []
    told = queue.Queue()
    second = open_client(on_event=told.put)
    second.flush(60)
    assert [entry["text"] for entry in broker.server.log["alice~bob"]] == ["one", "two"]
    heard = [told.get(timeout=60) for _ in range(3)]
    assert [event.committed.message_id for event in heard if isinstance(event, events.Sent)] == [1, 2]


def test_updates_that_came_while_away_and_while_here_come_once_and_in_order(broker, open_client):
    broker.peer_says("while away")
    client = open_client()
    client.wait_online(60)
    messages = client.messages(timeout=60)
    assert next(messages).text == "while away"
    broker.peer_says("while here")
    assert next(messages).text == "while here"
    broker.drop_all()
    broker.peer_says("while the link was down")
    assert next(messages).text == "while the link was down"
    broker.wait_for(lambda: broker.server.cursors.get(("alice", "phone")) == 3)


def test_a_loop_that_ends_well_has_taken_its_last_message_and_one_that_fails_has_not(broker, open_client):
    for text in ("one", "two", "three"):
        broker.peer_says(text)
    with open_client() as client:
        assert next(client.messages(timeout=60)).text == "one"
    with suppress(ZeroDivisionError), open_client() as client:
        assert next(client.messages(timeout=60)).text == "two"
        1 / 0  # noqa: B018 -- the program fails while it handles the message
    with open_client() as client:
        client.sync(60)
        assert [message.text for message in client.messages(timeout=0.2)] == ["two", "three"]
    with open_client() as client:
        client.sync(60)
        assert list(client.messages(timeout=0.05)) == []


def test_handlers_get_messages_other_updates_and_events(broker, open_client):
    got, others, told = queue.Queue(), queue.Queue(), queue.Queue()
    client = open_client(on_message=got.put, on_update=others.put, on_event=told.put)
    client.wait_online(60)
    assert told.get(timeout=60) == events.Online()
    broker.peer_says("hi")
    assert got.get(timeout=60).text == "hi"
    with broker.lock:
        broker.send_out([broker.server.push("alice", type="moonrise")])
        broker.send_out([("pabal/v1/live/alice", b'{"type":"typing"}'), ("pabal/v1/live/alice", b"[")])
    assert others.get(timeout=60).type == "moonrise"
    assert told.get(timeout=60) == events.LiveUpdate({"type": "typing"})
    broker.drop_all()
    assert isinstance(told.get(timeout=60), events.Offline)
    assert told.get(timeout=60) == events.Online()
    with pytest.raises(ClientError, match="go to its handlers"):
        client.messages()


def test_a_handler_that_fails_gets_the_same_message_again_before_any_other(
    broker, open_client, monkeypatch, caplog
):
    monkeypatch.setattr(backoff, "delay", lambda *_, **__: 0.01)
    caplog.set_level(logging.CRITICAL + 1, "pabal_client")
    got = []
    done = threading.Event()

    def fail_twice(message):
        got.append(message.text)
        if len(got) <= 2:
            raise RuntimeError
        if message.text == "two":
            done.set()

    broker.peer_says("one")
    broker.peer_says("two")
    client = open_client(on_message=fail_twice, on_event=lambda _: 1 / 0)
    assert done.wait(60)
    client.close()
    assert got == ["one", "one", "one", "two"]


def test_a_handler_may_answer_and_may_close_the_client(broker, open_client):
    done = threading.Event()
    holder = []

    def answer_and_close(message):
        if message.from_ == "bob":
            holder[0].send(to="bob", text="bye", timeout=60)
            holder[0].close()
            done.set()

    holder.append(open_client(on_message=answer_and_close))
    holder[0].wait_online(60)
    broker.peer_says("hi")
    assert done.wait(60)
    assert [entry["text"] for entry in broker.server.log["alice~bob"]] == ["hi", "bye"]


def test_a_refusal_is_raised_and_the_message_is_gone_from_the_outbox(broker, open_client):
    told = queue.Queue()
    broker.server.refuse["send"] = [{"error": "blocked", "detail": "not wanted"}]
    client = open_client(on_event=told.put)
    with pytest.raises(Blocked, match="not wanted"):
        client.send(to="bob", text="hi", timeout=60)
    assert client.unsent == 0
    assert [told.get(timeout=60) for _ in range(2)][1].error.code == "blocked"
    assert client.send(to="bob", text="hi again", timeout=60).message_id == 1


def test_what_the_server_would_refuse_is_refused_at_once(open_client):
    client = open_client()
    with pytest.raises(BadRequest, match="to"):
        client.send(text="to nobody")
    with pytest.raises(BadRequest, match="text"):
        client.send(to="bob")
    with pytest.raises(BadRequest):
        client.send(to="No Such Name", text="x")
    with pytest.raises(TooLarge):
        client.send(to="bob", text="x" * 40_000)
    with pytest.raises(ClientError, match="larger than a packet"):
        client.send(to="bob", body={"x": "y" * 300_000})
    assert client.unsent == 0


def test_history_conversations_read_and_sync(broker, open_client):
    client = open_client()
    for number in range(3):
        client.send(to="bob", text=str(number), timeout=60)
    page = client.history("bob", limit=2, timeout=60)
    assert [(item.conv, item.text) for item in page.items] == [("alice~bob", "1"), ("alice~bob", "2")]
    assert page.more
    assert client.history("alice~bob", before=2, timeout=60).items[0].text == "0"
    assert [row.conv for row in client.conversations(timeout=60).conversations] == ["alice~bob"]
    client.read("alice~bob", 3).wait(60)
    assert broker.server.reads == [("alice", "alice~bob", 3)]
    with broker.lock:
        broker.server.commit("bob", "pc", {"to": "alice", "text": "lost tail"})
    assert client.sync(60) == 4


def test_a_question_without_an_answer_is_given_up(broker, open_client):
    broker.server.silent_ops.add("history")
    client = open_client()
    with pytest.raises(NotConfirmed):
        client.history("bob", timeout=0.1)
    broker.server.silent_ops.clear()
    assert client.history("bob", timeout=60).items == []


def test_a_sync_that_cannot_finish_in_time_says_so(broker, open_client):
    client = open_client()
    client.sync(60)
    answer = broker.server.do_sync
    broker.server.do_sync = lambda *args: {**answer(*args), "head": 9, "more": False}
    with pytest.raises(NotConfirmed):
        client.sync(0.3)


def test_a_client_that_was_kicked_does_not_come_back(broker, open_client):
    told = queue.Queue()
    client = open_client(on_event=told.put)
    client.wait_online(60)
    broker.peer_says("before")
    client.sync(60)
    broker.server.silent_ops.add("send")
    pending = client.send_nowait(to="bob", text="hi")
    broker.send_out([("pabal/v1/down/alice/phone", b'{"type":"kicked","reason":"logout"}')])
    with pytest.raises(Kicked, match="logout"):
        pending.wait(60)
    assert isinstance(client.error, Kicked)
    messages = client.messages(timeout=60)
    assert next(messages).text == "before"
    with pytest.raises(Kicked):
        next(messages)
    with pytest.raises(Kicked):
        client.send(to="bob", text="x")
    with pytest.raises(Kicked):
        client.wait_online(60)
    assert isinstance([told.get(timeout=60) for _ in range(2)][1], events.Ended)
    client.close()
    assert len(broker.connects) == 1


def test_a_credential_is_asked_for_anew_once_and_then_the_client_ends(broker, open_client):
    asked = []

    def password(*, refused):
        asked.append(refused)
        return f"token{len(asked)}"

    broker.refuse = [5]
    client = open_client(password=password)
    client.wait_online(60)
    assert asked == [False, True]
    assert [secret for _, _, secret in broker.connects] == ["token1", "token2"]
    client.close()
    broker.refuse = [5, 4]
    client = open_client(password=password)
    with pytest.raises(LoginRefused):
        client.wait_online(60)


def test_a_password_source_may_be_slow_to_come_by_or_out_of_passwords(open_client):
    answers = [Unreachable("no"), BadRequest("what"), Unauthorized("over")]

    def password(**_):
        raise answers.pop(0)

    client = open_client(password=password)
    with pytest.raises(Unauthorized, match="over"):
        client.wait_online(60)
    assert answers == []


def test_a_broker_that_never_answers_is_left(broker, open_client, monkeypatch):
    monkeypatch.setattr(runner, "CONNACK_SECONDS", 0.1)
    broker.mute = True
    client = open_client()
    broker.wait_for(lambda: len(broker.connects) >= 2)
    with broker.lock:
        broker.mute = False
        unanswered = len(broker.connects)
    # Only when the last of those has been given up: it would be waited for too.
    broker.wait_for(lambda: len(broker.connects) > unanswered)
    monkeypatch.setattr(runner, "CONNACK_SECONDS", 60.0)
    client.wait_online(60)


def test_a_device_that_may_only_send_is_told_so(broker, open_client):
    told = queue.Queue()
    broker.deny = {"inbox", "live"}
    client = open_client(on_event=told.put)
    assert client.send(to="bob", text="21.5", timeout=60).message_id == 1
    assert any(isinstance(told.get(timeout=60), events.ReceivingRefused) for _ in range(2))


def test_a_device_that_may_not_hear_replies_ends(broker, open_client):
    broker.deny = {"down"}
    with pytest.raises(Kicked, match="hear its replies"):
        open_client().wait_online(60)


def test_one_process_at_a_time_may_use_a_store(open_client):
    open_client()
    with pytest.raises(StoreInUse):
        open_client()


def test_the_outbox_has_a_bound(broker, open_client, monkeypatch):
    monkeypatch.setattr(runner, "MAX_OUTBOX", 3)
    broker.refuse = [3] * 100_000
    client = open_client()
    client._runner._max_outbox = 3
    for _ in range(3):
        client.send_nowait(to="bob", text="x")
    with pytest.raises(OutboxFull):
        client.send_nowait(to="bob", text="x")
    assert client.unsent == 3


def test_a_store_that_fails_takes_nothing_on_and_ends_the_receiver(broker, open_client):
    client = open_client()
    client.wait_online(60)
    client.sync(60)
    client._runner._store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(ClientError):
        client.send_nowait(to="bob", text="x")
    assert client.unsent == 0
    broker.peer_says("hi")
    with pytest.raises(ClientError, match="cannot use"):
        next(client.messages(timeout=60))


def test_a_program_that_falls_behind_is_not_drowned_and_catches_up(broker, open_client, monkeypatch):
    monkeypatch.setattr(transport, "_READS_AT_ONCE", 5)
    client = open_client()
    client._runner._max_backlog = 10
    client.wait_online(60)
    broker.server.page_limit = 5
    for number in range(40):
        broker.peer_says(str(number))
    with client._runner.changed:
        assert client._runner.changed.wait_for(lambda: client._runner._paused, 60)
    assert client._runner._backlog <= 20
    messages = client.messages(timeout=60)
    assert [next(messages).text for _ in range(40)] == [str(number) for number in range(40)]


def test_a_client_closed_in_another_thread_ends_the_loop(open_client):
    client = open_client()
    client.wait_online(60)
    ended = threading.Event()

    def loop():
        assert list(client.messages()) == []
        ended.set()

    thread = threading.Thread(target=loop)
    thread.start()
    client.close()
    client.close()
    assert ended.wait(60)
    thread.join()
    with pytest.raises(Closed):
        client.send(to="bob", text="x")
    with pytest.raises(Closed):
        client.history("bob")


def test_a_sync_waits_for_the_large_groups_too(broker, open_client):
    conv = "gaaaaaaaaaaaa"
    broker.server.create_group(conv, "bob", "alice", "carol", limit=2)
    client = open_client()
    client.sync(60)
    with broker.lock:  # nobody is told: as if the room had dropped them
        for number in range(3):
            broker.server.commit("bob", "pc", {"conv": conv, "text": str(number)})
    client.sync(60)
    got = list(client.updates(timeout=0.1))
    assert [(update.seq, update.fields()["message_id"]) for update in got] == [
        (1, 1),
        (None, 2),
        (None, 3),
        (None, 4),
    ]
    client.close()
    broker.server.commit("bob", "pc", {"conv": conv, "text": "while away"})
    client = open_client()
    client.sync(60)
    (message,) = client.messages(timeout=0.1)
    assert (message.conv, message.text, message.seq) == (conv, "while away", None)
