"""`pabal trace`: one message's way, from the database alone."""

import json
import sqlite3
from contextlib import closing

import pytest

# 2026-11-29 19:00:00 UTC
THEN = 1_795_978_800_000
ROWS = f"""
INSERT INTO conversation (conv_id, kind, mode, head, ordinal, created_ts) VALUES ('alice~bob', 'direct', 'small', 1, 1, {THEN});
INSERT INTO member (conv_id, user_id, from_id, visible_from, role, delivered_upto, read_upto, read_ordinal)
 VALUES ('alice~bob', 'alice', 1, 1, 'member', 1, 1, 1), ('alice~bob', 'bob', 1, 1, 'member', 0, 0, 0);
INSERT INTO direct_message (conv_id, message_id, sender, device, id, digest, type, kind, ordinal, text, ts)
 VALUES ('alice~bob', 1, 'alice', 'phone', 'mine', '', 'message', 'text', 1, 'hi', {THEN});
INSERT INTO inbox (user_id, seq, type, conv_id, message_id, ts)
 VALUES ('alice', 3, 'message', 'alice~bob', 1, {THEN}), ('bob', 9, 'message', 'alice~bob', 1, {THEN});
INSERT INTO device (user_id, device_id, cursor, allow, created_ts)
 VALUES ('alice', 'phone', 3, 'send receive', 0), ('bob', 'tablet', 8, 'receive', 0);
INSERT INTO outbox (batch_id, ranges) VALUES (1, '{{"bob":[9,9]}}');
INSERT INTO push_log (user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts, expires_ts, state, tries,
 service, answer, sending_ts, done_ts)
 VALUES ('bob', 'tablet', 9, 'message', 'message', 'alice~bob', 1, {THEN}, {THEN}, {THEN}, 'dead', 2, 'fcm', 'refused: no',
 {THEN}, {THEN + 1000});
INSERT INTO push_job (user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts, expires_ts, state, tries)
 VALUES ('bob', 'phone', 9, 'message', 'message', 'alice~bob', 1, {THEN}, {THEN + 10_000}, {THEN}, 'queued', 0);
INSERT INTO push_job (user_id, device_id, seq, kind, type, conv_id, message_id, created_ts, due_ts, expires_ts, state, tries,
 service, answer, sending_ts)
 VALUES ('bob', 'watch', 9, 'message', 'message', 'alice~bob', 1, {THEN}, {THEN}, {THEN}, 'queued', 1, 'fcm', 'answered 503',
 {THEN + 1000}),
 ('bob', 'xphone', 9, 'message', 'message', 'alice~bob', 1, {THEN}, {THEN}, {THEN}, 'sending', 1, 'fcm', NULL, {THEN + 1000});
"""


@pytest.fixture
def message(pabal, tmp_path):
    for name in ("alice", "bob"):
        assert pabal("user", "add", name, "--password-stdin", stdin="correct horse\n").code == 0
    with closing(sqlite3.connect(tmp_path / "pabal-data" / "pabal.sqlite3")) as connection:
        connection.executescript(ROWS)
        connection.commit()


@pytest.mark.usefixtures("message")
def test_it_is_told_line_by_line(pabal):
    done = pabal("trace", "alice~bob", "1")
    assert done.out.splitlines() == [
        "alice~bob 1: message of alice, from the device phone as 'mine'",
        "  committed 2026-11-29 19:00:00Z",
        "  fanned out by inbox",
        "alice: seq 3; delivered, read",
        "  phone: acknowledged (cursor 3)",
        "bob: seq 9, still in the outbox; not delivered, not read",
        "  tablet: not acknowledged (cursor 8)",
        "  push to phone: message queued; due 2026-11-29 19:00:10Z",
        "  push to tablet: message dead; by fcm, 2 tries; refused: no; done 2026-11-29 19:00:01Z",
        "  push to watch: message queued; by fcm, 1 try; answered 503; tried 2026-11-29 19:00:01Z",
        "  push to xphone: message sending; by fcm, 1 try; sending since 2026-11-29 19:00:01Z",
    ]


@pytest.mark.usefixtures("message")
def test_programs_are_told_the_same_as_json(pabal):
    told = json.loads(pabal("trace", "alice~bob", "1", "--json").out)
    assert (told["from"], told["committed"], told["way"]) == ("alice", THEN, "inbox")
    assert [push["state"] for push in told["recipients"][1]["pushes"]] == [
        "queued",
        "dead",
        "queued",
        "sending",
    ]


@pytest.mark.usefixtures("message")
@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["alice~bob", "2"], 1, "message_id: no such message"),
        (["alice~carol", "1"], 1, "message_id: no such message"),
        (["alice", "1"], 1, "conv: "),
        (["alice~bob", "0"], 2, "MESSAGE_ID"),
        (["alice~bob", "x"], 2, "MESSAGE_ID"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(pabal, given, code, said):
    done = pabal("trace", *given)
    assert done.code == code
    assert said in done.err


def test_where_there_is_no_database_none_is_made(pabal, tmp_path):
    done = pabal("trace", "alice~bob", "1")
    assert done.code == 1
    assert done.err.startswith("error: there is no database at")
    assert list(tmp_path.iterdir()) == []
