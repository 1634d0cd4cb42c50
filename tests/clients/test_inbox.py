import json

import pytest
from session_bench import DOWN, INBOX, peer_says

from pabal_client import effects as e


def test_live_updates_are_taken_in_order_and_once(online):
    one, two = peer_says(online), peer_says(online)
    online.hear(INBOX, one)
    online.hear(INBOX, one)
    online.hear(INBOX, two)
    online.hear(INBOX, one)
    assert online.seqs() == [1, 2]
    assert online.session.inbox.cursor == 2


def test_an_array_of_updates_is_taken_whole(online):
    parts = [peer_says(online) for _ in range(3)]
    online.hear(INBOX, b"[" + b",".join(parts) + b"]")
    assert online.seqs() == [1, 2, 3]


def test_a_gap_that_closes_by_itself_asks_for_nothing(online):
    one, two = peer_says(online), peer_says(online)
    online.hear(INBOX, two)
    assert online.seqs() == []
    online.hear(INBOX, one)
    assert online.seqs() == [1, 2]
    online.wait(0.9)
    assert online.ops() == []


def test_a_gap_that_stays_is_synced_after_a_short_wait(online):
    peer_says(online)
    online.hear(INBOX, peer_says(online))
    assert online.ops() == []
    online.wait(0.3)
    assert online.ops() == ["sync"]
    online.answer()
    assert online.seqs() == [1, 2]


def test_sync_pages_are_followed_to_the_end(bench):
    for _ in range(5):
        peer_says(bench)
    bench.server.page_limit = 2
    bench.connect()
    bench.answer()
    assert bench.seqs() == [1, 2, 3, 4, 5]
    assert sum(request.get("op") == "sync" for request in bench.server.seen) == 3


def test_what_comes_during_the_first_sync_is_not_lost(bench):
    peer_says(bench)
    bench.connect()
    (sync,) = bench.sent
    bench.sent.clear()
    answer = bench.server.handle("alice", "phone", sync.payload)
    bench.hear(INBOX, peer_says(bench))
    for topic, payload in answer:
        bench.hear(topic, payload)
    bench.answer()
    assert bench.seqs() == [1, 2]


def test_a_lost_tail_is_found_by_asking_after_a_silence(online):
    peer_says(online)
    online.wait(40)
    assert online.ops() == []
    online.wait(25)
    assert online.ops() == ["sync"]
    online.answer()
    assert online.seqs() == [1]


def test_the_server_is_told_once_for_many_updates(online):
    online.server.seen.clear()
    for _ in range(5):
        online.hear(INBOX, peer_says(online))
    online.wait(1.5)
    online.answer()
    assert [request["op"] for request in online.server.seen] == ["ack"]
    assert online.server.cursors["alice", "phone"] == 5
    online.wait(20)
    assert online.ops() == []


def test_an_acknowledgement_that_is_refused_is_not_repeated_for_ever(online):
    online.server.refuse["ack"] = [{"error": "bad_request", "detail": "?"}]
    online.hear(INBOX, peer_says(online))
    online.wait(1.5)
    online.answer()
    online.wait(20)
    assert online.ops() == []


def test_a_reset_on_the_inbox_topic_leads_to_a_sync_from_our_own_cursor(online):
    peer_says(online)
    online.hear(INBOX, b'{"type":"reset"}')
    assert online.ops() == ["sync"]
    online.answer()
    assert online.seqs() == [1]


def test_a_position_that_is_too_old_is_started_over_from_a_snapshot(bench):
    for _ in range(4):
        peer_says(bench)
    bench.server.min_seq["alice"] = 3
    bench.connect()
    bench.answer()
    (snapshot,) = bench.taken
    assert snapshot.type == "snapshot"
    assert snapshot.snapshot().head == 4
    assert [row.conv for row in snapshot.snapshot().conversations] == ["alice~bob"]
    bench.hear(INBOX, peer_says(bench))
    assert bench.seqs() == [4, 5]


def test_another_epoch_starts_over_and_acknowledges_anew(online):
    for _ in range(3):
        online.hear(INBOX, peer_says(online))
    online.wait(2)
    online.answer()
    online.server.restore("e2", keep=1)
    online.server.cursors.clear()
    online.hear(INBOX, peer_says(online))
    online.wait(1)
    online.answer()
    assert (online.session.inbox.epoch, online.session.inbox.cursor) == ("e2", 2)
    assert online.taken[-1].type == "snapshot"
    online.hear(INBOX, peer_says(online))
    online.wait(2)
    online.answer()
    assert online.taken[-1].seq == 3
    assert online.server.cursors["alice", "phone"] == 3


def test_an_unanswered_acknowledgement_of_the_old_epoch_does_not_silence_the_new_one(online):
    for _ in range(3):
        online.hear(INBOX, peer_says(online))
    online.wait(1.01)
    ack = online.sent.pop()
    online.server.restore("e2", keep=1)
    online.hear(INBOX, peer_says(online))
    online.answer()
    online.hear(DOWN, json.dumps({"re": json.loads(ack.payload)["id"], "ok": True}).encode())
    online.wait(2)
    online.answer()
    assert online.server.cursors["alice", "phone"] == 2


def test_a_server_that_answers_sync_in_vain_is_asked_ever_more_slowly(online):
    online.hear(INBOX, b'{"seq":9,"epoch":"e1","type":"message"}')
    times = []
    for _ in range(200):
        online.wait(0.5)
        times += [online.now] * online.ops().count("sync")
        online.answer()
    assert 3 <= len(times) <= 9
    assert times[-1] - times[-2] > 10


@pytest.mark.parametrize(
    "page",
    [
        {"epoch": "e1", "head": "x"},
        {"epoch": "other", "head": 3, "items": []},
        {},
    ],
)
def test_a_sync_answer_that_makes_no_sense_is_asked_for_again(online, page):
    good = online.server.do_sync
    online.server.do_sync = lambda *_: page
    peer_says(online)
    online.hear(INBOX, b'{"type":"reset"}')
    online.answer()
    assert online.seqs() == []
    online.server.do_sync = good
    online.wait(1.5)
    online.answer()
    assert online.seqs() == [1]


def test_a_sync_that_is_refused_ends_receiving_until_the_next_connection(bench):
    bench.server.refuse["sync"] = [{"error": "forbidden", "detail": "no"}]
    bench.connect()
    bench.answer()
    assert bench.effects[-1] == e.NotReceiving("no")
    peer_says(bench)
    bench.wait(200)
    assert bench.ops() == []
    bench.session.disconnected()
    bench.connect()
    bench.answer()
    assert bench.seqs() == [1]


def test_updates_of_unknown_types_are_taken_and_junk_is_let_go(online):
    online.hear(INBOX, online.server.push("alice", type="moonrise", phase=3)[1])
    for junk in (b"", b"[", b"{", b'"x"', b'{"seq":"2"}', b'{"type":"other"}', b"[[]]"):
        online.hear(INBOX, junk)
    online.hear(INBOX, peer_says(online))
    assert [update.type for update in online.taken] == ["moonrise", "message"]
    assert online.taken[0].fields()["phase"] == 3
    assert online.taken[0].message() is None


def test_a_stub_of_an_update_that_was_too_large_is_a_truncated_message(online):
    online.hear(INBOX, b'{"seq":1,"conv":"alice~bob","message_id":4,"truncated":true}')
    message = online.taken[0].message()
    assert (message.message_id, message.truncated, message.text) == (4, True, None)


def test_a_paused_client_takes_nothing_and_catches_up_when_resumed(online):
    online.session.pause()
    for _ in range(3):
        online.hear(INBOX, peer_says(online))
    online.wait(200)
    assert online.seqs() == []
    assert "sync" not in online.ops()
    online.do(online.session.resume(online.now))
    online.do(online.session.resume(online.now))
    online.answer()
    assert online.seqs() == [1, 2, 3]


def test_asking_now_finds_what_gave_no_sign(online):
    peer_says(online)
    online.do(online.session.sync_now(online.now))
    online.do(online.session.sync_now(online.now))
    online.answer()
    assert online.seqs() == [1]
    online.session.disconnected()
    assert online.session.sync_now(online.now) == []
