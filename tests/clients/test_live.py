"""Who types, and how far others have come."""

import doctest
import json
import queue

import pytest

import pabal_client.live
from pabal_client import Receipt, Typing
from pabal_client import effects as e
from pabal_client.live import Typists, read_live

LIVE = "pabal/v1/live/alice"


def typing(on=True, user="bob", conv="alice~bob"):
    return Typing(conv=conv, user=user, on=on)


def publish(kind, **fields):
    return LIVE, json.dumps({"type": kind, **fields}).encode()


def test_the_example_of_the_documentation_runs():
    globs = {"Typists": Typists, "Typing": Typing}
    test = doctest.DocTestParser().get_doctest(pabal_client.live.Typists.__doc__, globs, "live", None, None)
    report = []
    assert not doctest.DocTestRunner().run(test, out=report.append).failed, "".join(report)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (
            b'{"type":"typing","conv":"g1","user":"bob","on":true,"ts":5}',
            Typing(conv="g1", user="bob", on=True, ts=5),
        ),
        (
            b'{"type":"receipt","conv":"g1","user":"bob","delivered":7,"read":3,"new":1}',
            Receipt(conv="g1", user="bob", delivered=7, read=3),
        ),
        (
            b'{"type":"receipt","conv":"g1","user":"bob","delivered":7}',
            Receipt(conv="g1", user="bob", delivered=7),
        ),
        (b'{"type":"typing","conv":7}', None),
        (b'{"type":"moonrise"}', None),
        (b"[", None),
        (b"[1]", None),
    ],
)
def test_what_comes_is_read_as_a_value_or_as_none_that_is_known(payload, value):
    assert read_live(payload) == value


def test_a_sign_holds_for_six_seconds_and_each_new_one_begins_them_again():
    typists = Typists()
    assert typists.heard(typing(), 0.0) == [typing()]
    assert typists.heard(typing(), 5.0) == []
    assert typists.deadline() == 11.0
    assert typists.tick(10.9) == []
    assert typists.tick(11.0) == [typing(on=False)]
    assert typists.deadline() is None


def test_who_stops_is_told_once_and_who_never_began_not_at_all():
    typists = Typists()
    assert typists.heard(typing(on=False), 0.0) == []
    typists.heard(typing(), 0.0)
    assert typists.heard(typing(on=False), 1.0) == [typing(on=False)]
    assert typists.heard(typing(on=False), 1.0) == []
    assert typists.tick(100.0) == []


def test_people_and_conversations_are_told_apart_and_a_lost_connection_ends_all():
    typists = Typists()
    three = [typing(), typing(user="carol"), typing(conv="g1")]
    for one in three:
        assert typists.heard(one, 0.0) == [one]
    assert [(one.conv, one.user, one.on) for one in typists.clear()] == [
        ("alice~bob", "bob", False),
        ("alice~bob", "carol", False),
        ("g1", "bob", False),
    ]
    assert typists.clear() == []


def test_a_flood_of_people_who_type_has_a_bound(monkeypatch):
    monkeypatch.setattr("pabal_client.live._MOST", 2)
    typists = Typists()
    assert [bool(typists.heard(typing(user=f"u{n}"), 0.0)) for n in range(3)] == [True, True, False]
    assert typists.heard(typing(user="u0"), 1.0) == []
    assert [typists.worth_saying(f"g{n}", on=True, now=0.0) for n in range(3)] == [True] * 3


def test_typing_is_said_at_once_then_every_three_seconds_and_its_end_once():
    typists = Typists()
    said = [typists.worth_saying("g1", on=True, now=now) for now in (0.0, 0.1, 2.9, 3.0, 3.1)]
    assert said == [True, False, False, True, False]
    assert typists.worth_saying("g2", on=True, now=3.1)
    assert [typists.worth_saying("g1", on=False, now=now) for now in (3.2, 3.3)] == [True, False]
    assert typists.worth_saying("g1", on=True, now=3.4)


def test_the_session_says_it_at_qos_0_without_an_id_and_only_with_a_connection(bench):
    assert bench.session.say_typing("alice~bob", on=True, now=0.0) == []
    bench.connect()
    (publish_,) = bench.session.say_typing("alice~bob", on=True, now=0.0)
    assert (publish_.qos, publish_.retain, publish_.topic) == (0, False, "pabal/v1/up/alice/phone")
    assert json.loads(publish_.payload) == {"op": "typing", "conv": "alice~bob", "on": True}


def test_the_session_ends_what_was_not_heard_again_and_leaves_out_oneself(online):
    online.effects.clear()
    online.hear(*publish("typing", conv="alice~bob", user="alice", on=True))
    online.hear(*publish("typing", conv="alice~bob", user="bob", on=True))
    assert online.session.deadline() <= online.now + 6
    online.wait(7)
    heard = [effect.value for effect in online.effects if isinstance(effect, e.Heard)]
    assert [(one.user, one.on) for one in heard] == [("bob", True), ("bob", False)]


def test_the_session_ends_them_with_the_connection(online):
    online.hear(*publish("typing", conv="alice~bob", user="bob", on=True))
    assert [effect.value.on for effect in online.session.disconnected()] == [False]


def test_handlers_hear_who_types_and_who_has_read(broker, open_client, monkeypatch):
    # However slow the machine, this is one sign that holds, and one that is said.
    monkeypatch.setattr(pabal_client.live, "TYPING_SECONDS", 3600.0)
    monkeypatch.setattr(pabal_client.live, "SAY_AGAIN_SECONDS", 3600.0)
    told, others = queue.Queue(), queue.Queue()
    client = open_client(on_live=told.put, on_event=others.put)
    client.wait_online(60)
    broker.send_out([publish("typing", conv="alice~bob", user="bob", on=True)])
    assert told.get(timeout=60) == typing()
    broker.send_out([publish("receipt", conv="alice~bob", user="bob", delivered=3, read=2)])
    assert told.get(timeout=60) == Receipt(conv="alice~bob", user="bob", delivered=3, read=2)
    broker.drop_all()
    assert told.get(timeout=60) == typing(on=False)
    client.wait_online(60)
    client.typing("bob")
    client.typing("bob")
    client.typing("bob", on=False)
    client.send(to="bob", text="done", timeout=60)
    assert broker.server.typed == [("alice", "alice~bob", True), ("alice", "alice~bob", False)]


def test_a_flood_of_live_updates_pushes_nothing_else_out(broker, open_client, monkeypatch):
    monkeypatch.setattr("pabal_client.runner.MAX_EVENTS", 3)
    client = open_client(on_live=lambda _: None)
    client.wait_online(60)
    with client._runner._lock:
        for number in range(9):
            client._runner._tell(Receipt(user="bob", delivered=number))
        told = [value for value in client._runner._events if isinstance(value, Receipt)]
    assert [one.delivered for one in told] == list(range(len(told)))
    assert len(client._runner._events) <= 3
    assert broker.server.typed == []


def test_history_says_how_far_the_members_have_come(broker, open_client):
    client = open_client()
    client.send(to="bob", text="hi", timeout=60)
    answer = broker.server.do_history
    rows = [{"user": "alice", "delivered": 1, "read": 1}, {"user": "bob", "delivered": 1}]
    broker.server.do_history = lambda *args: {**answer(*args), "receipts": rows}
    receipts = client.history("bob", timeout=60).receipts
    assert [(one.conv, one.user, one.delivered, one.read) for one in receipts] == [
        ("alice~bob", "alice", 1, 1),
        ("alice~bob", "bob", 1, None),
    ]
