import json

import pytest
from fake_chat_server import FakeServer
from session_bench import DOWN, INBOX, Bench, peer_says

from pabal import errors
from pabal_client import effects as e
from pabal_client.errors import UnknownRefusal


def test_it_subscribes_then_syncs_then_sends(bench):
    bench.send("m1")
    assert [type(effect) for effect in bench.effects] == [e.Keep]
    subscribe, status = bench.do(bench.session.connected(0.0, 7))
    assert subscribe.filters == ((DOWN, 1), (INBOX, 1), ("pabal/v1/live/alice", 0))
    assert (status.topic, status.retain) == ("pabal/v1/status/alice/phone", True)
    assert json.loads(status.payload) == {"state": "online", "n": 7}
    assert bench.sent == []
    bench.do(bench.session.subscribed(0.0, (True, True, True)))
    assert sorted(bench.ops()) == ["send", "sync"]


def test_the_state_is_told_once_the_broker_took_the_connection_also_before_the_replies_can_be_heard(bench):
    assert bench.session.set_status("away") == []
    _, status = bench.do(bench.session.connected(0.0, 7))
    assert json.loads(status.payload) == {"state": "away", "n": 7}
    (status,) = bench.session.set_status("online")
    assert json.loads(status.payload) == {"state": "online", "n": 7}
    assert bench.session.set_status("online") == []
    bench.session.disconnected()
    assert bench.session.set_status("away") == []


def test_without_an_answer_to_the_subscription_the_connection_is_given_up(bench):
    bench.do(bench.session.connected(0.0, 1))
    assert bench.session.deadline() == 30.0
    assert bench.session.tick(29.0) == []
    assert bench.session.tick(30.0) == [
        e.Disconnect("the server did not answer the subscription", final=False)
    ]


def test_a_device_that_may_not_hear_its_replies_ends(bench):
    bench.connect(granted=(False, True, True))
    assert bench.effects[-1].final
    assert bench.session.tick(100.0) == []
    assert bench.session.deadline() is None


def test_a_device_that_may_not_read_the_inbox_still_sends(bench):
    bench.send("m1")
    bench.connect(granted=(True, False, True))
    assert any(isinstance(effect, e.NotReceiving) for effect in bench.effects)
    assert bench.ops() == ["send"]
    bench.answer()
    assert [settled.entry.id for settled in bench.settled] == ["m1"]


def test_a_client_that_only_sends_neither_subscribes_nor_syncs():
    bench = Bench(receive=False)
    bench.connect(granted=(True,))
    assert bench.effects[0].filters == ((DOWN, 1),)
    assert bench.sent == []
    bench.wait(200)
    assert bench.sent == []


def test_a_message_is_kept_before_it_is_published_and_settled_by_its_reply(online):
    online.effects.clear()
    online.send("m1")
    assert [type(effect) for effect in online.effects] == [e.Keep, e.Publish]
    online.answer()
    (settled,) = online.settled
    assert settled.entry.id == "m1"
    assert settled.error is None
    assert json.loads(settled.reply)["message_id"] == 1
    assert online.seqs() == [1]


def test_a_second_reply_to_the_same_request_is_let_go(online):
    online.send("m1")
    reply = json.dumps({"re": "m1", "ok": True}).encode()
    online.hear(DOWN, reply)
    online.hear(DOWN, reply)
    assert len(online.settled) == 1


@pytest.mark.parametrize(
    "code", ["bad_request", "forbidden", "not_found", "blocked", "conflict", "too_large"]
)
def test_a_definite_refusal_ends_a_request_and_lets_the_next_one_go(online, code):
    online.server.refuse["send"] = [{"error": code, "detail": "no"}]
    online.send("m1")
    online.send("m2")
    online.answer()
    first, second = online.settled
    assert type(first.error) is errors.BY_CODE[code]
    assert first.error.detail == "no"
    assert (second.entry.id, second.error) == ("m2", None)


def test_a_refusal_that_is_not_known_yet_is_final_too(online):
    online.server.refuse["send"] = [{"error": "moonstruck"}]
    online.send("m1")
    online.answer()
    error = online.settled[0].error
    assert isinstance(error, UnknownRefusal)
    assert (error.code, error.detail) == ("moonstruck", "moonstruck")


@pytest.mark.parametrize("code", ["rate_limited", "unavailable"])
def test_a_server_that_is_busy_gets_the_same_request_again_when_it_said(online, code):
    online.server.refuse["send"] = [{"error": code, "detail": "later", "retry_after": 9}]
    online.send("m1")
    online.answer()
    assert online.settled == []
    online.wait(8.9)
    assert "send" not in online.ops()
    online.wait(0.2)
    online.answer()
    assert [settled.entry.id for settled in online.settled] == ["m1"]
    assert len(online.server.log["alice~bob"]) == 1


def test_a_reply_that_cannot_be_read_leads_to_another_try(online):
    online.send("m1")
    (publish,) = online.sent
    online.session.puback(publish.token)
    online.sent.clear()
    for junk in (b"", b"{", b"[1,", b'{"re":7}', b"null", b'{"re":"m1"}', b'{"re":null,"ok":false}'):
        online.hear(DOWN, junk)
    assert online.settled == []
    online.wait(1.1)
    online.answer()
    assert len(online.settled) == 1


def test_replies_may_come_in_an_array(online):
    online.send("m1")
    online.send("m2", to="carol")
    online.hear(DOWN, b'[{"re":"m1","ok":true},{"re":"m2","ok":true}]')
    assert [settled.entry.id for settled in online.settled] == ["m1", "m2"]


def test_live_things_and_foreign_topics(online):
    online.effects.clear()
    online.hear("pabal/v1/live/alice", b"{}")
    online.hear("pabal/v1/live/mallory", b"{}")
    assert online.effects == [e.Live(b"{}")]


def test_being_kicked_is_final(online):
    online.send("m1")
    online.hear(DOWN, b'{"type":"kicked","reason":"logout"}')
    assert online.effects[-1] == e.Disconnect("logout", final=True)
    online.hear(DOWN, b'{"re":"m1","ok":true}')
    assert online.settled == []
    assert online.session.tick(100.0) == []


def test_nothing_is_heard_between_connections(online):
    online.session.disconnected()
    online.hear(INBOX, peer_says(online))
    assert online.seqs() == []
    assert online.session.deadline() is None
    online.connect()
    online.answer()
    assert online.seqs() == [1]


def test_a_broken_link_leaves_no_question_behind(online):
    online.hear(INBOX, peer_says(online))
    online.wait(1.2)
    assert online.ops() == ["ack"]
    online.session.disconnected()
    assert len(online.session.outbox) == 0


def test_a_link_that_acknowledges_nothing_is_given_up(online):
    online.send("m1")
    online.wait(200)
    assert any(isinstance(effect, e.Disconnect) and not effect.final for effect in online.effects)


def test_a_forgotten_question_is_not_asked_again(bench):
    bench.do(bench.session.submit(e.Entry("q", b'{"op":"history"}'), 0.0))
    assert bench.effects == []
    bench.do(bench.session.forget("q", 0.0))
    bench.connect()
    assert "history" not in bench.ops()


def test_the_stored_outbox_and_position_are_gone_on_from():
    server = FakeServer()
    for _ in range(3):
        server.commit("bob", "pc", {"to": "alice", "text": "x"})
    kept = [e.Entry("m1", b'{"id":"m1","to":"bob","text":"1"}', "alice~bob", durable=True)]
    bench = Bench(server, epoch="e1", cursor=2, entries=kept)
    bench.connect()
    bench.answer()
    assert bench.seqs() == [3, 4]
    assert [settled.entry.id for settled in bench.settled] == ["m1"]
