"""What the contract states of the schema: limits, names, and which fields are there."""

import json

import msgspec
import pytest

from pabal import messages as m

SUMMARY = m.ConversationSummary(conv="a~b", kind="direct", head=3, read=1, unread=2, mentions=0)


def wire(struct):
    return json.loads(msgspec.json.encode(struct))


def test_the_limits_are_those_of_the_contract():
    assert m.MAX_PACKET_BYTES == 256 * 1024
    assert (m.MAX_TEXT_BYTES, m.MAX_BODY_BYTES, m.MAX_PAGE_BYTES) == (32 * 1024, 64 * 1024, 200 * 1024)
    assert (m.MAX_ARRAY, m.MAX_SYNC_LIMIT, m.MAX_HISTORY_LIMIT) == (100, 500, 200)
    assert m.MAX_NUMBER == 2**53 - 1


def test_each_operation_is_known_by_its_tag():
    assert set(m.OPS) == {
        "send", "edit", "recall", "react", "ack", "read", "sync", "history", "conversations",
        "group.create", "group.add", "group.remove", "group.leave", "presence",
        "contact.request", "contact.accept", "contact.remove", "contacts", "block.add", "block.remove", "blocks",
        "users", "report", "user.get", "reports",
        "group.update", "group.dissolve", "group.mute", "mute",
        "group.invite", "group.invites", "group.uninvite", "group.join", "group.get",
        "delete",
        "typing",
        "push.set", "push.remove", "push.get", "quiet.set", "quiet.remove", "quiet.get",
    }  # fmt: skip
    for op, kind in m.OPS.items():
        assert msgspec.inspect.type_info(kind).tag == op
        assert msgspec.inspect.type_info(kind).tag_field == "op"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (m.Done(re="q"), {"re": "q", "ok": True}),
        (
            m.Committed(re="q", conv="a~b", message_id=1, ts=5),
            {"re": "q", "ok": True, "conv": "a~b", "message_id": 1, "ts": 5, "dup": False},
        ),
        (
            m.Committed(re="q", conv="a~b", message_id=1, ts=5, dup=True),
            {"re": "q", "ok": True, "conv": "a~b", "message_id": 1, "ts": 5, "dup": True},
        ),
        (
            m.Refused(re=None, ok=False, error="conflict", detail="d"),
            {"re": None, "ok": False, "error": "conflict", "detail": "d"},
        ),
        (
            m.SyncPage(re="q", epoch="e", head=9, items=[msgspec.Raw(b'{"seq":9}')], more=False, rooms={}),
            {
                "re": "q",
                "ok": True,
                "epoch": "e",
                "head": 9,
                "items": [{"seq": 9}],
                "more": False,
                "rooms": {},
            },
        ),
        (
            m.SyncReset(re="q", epoch="e", head=9, conversations=[SUMMARY], more=False),
            {
                "re": "q",
                "ok": True,
                "reset": True,
                "epoch": "e",
                "head": 9,
                "conversations": [
                    {"conv": "a~b", "kind": "direct", "head": 3, "read": 1, "unread": 2, "mentions": 0}
                ],
                "more": False,
            },
        ),
        (
            m.ConversationPage(re="q", conversations=[], more=True),
            {"re": "q", "ok": True, "conversations": [], "more": True},
        ),
        (
            m.HistoryPage(
                re="q",
                conv="a~b",
                head=1,
                items=[m.Message(message_id=1, from_="a", kind="text", ts=5, text="hi")],
                more=False,
                receipts=[m.Receipt(user="b", delivered=1, read=0)],
            ),
            {
                "re": "q",
                "ok": True,
                "conv": "a~b",
                "head": 1,
                "items": [{"message_id": 1, "from": "a", "kind": "text", "ts": 5, "text": "hi"}],
                "more": False,
                "receipts": [{"user": "b", "delivered": 1, "read": 0}],
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_reply_has_the_fields_of_the_contract_in_their_order(reply, expected):
    assert wire(reply) == expected
    assert list(wire(reply)) == list(expected)


def test_a_summary_shows_the_last_message_by_its_sender():
    last = m.LastMessage(message_id=3, from_="a", kind="text", ts=5, text="hi")
    row = wire(msgspec.structs.replace(SUMMARY, last=last, name="n", mode="small"))
    assert row["last"] == {"message_id": 3, "from": "a", "kind": "text", "ts": 5, "text": "hi"}
    assert (row["name"], row["mode"]) == ("n", "small")


def test_updates_and_notices_are_told_apart_by_their_type():
    assert wire(m.ReadUpdate(ts=5, conv="a~b", message_id=1)) == {
        "type": "read",
        "ts": 5,
        "conv": "a~b",
        "message_id": 1,
    }
    assert wire(m.Kicked(reason="logout")) == {"type": "kicked", "reason": "logout"}
    assert wire(m.Reset()) == {"type": "reset"}
    message = wire(m.MessageUpdate(ts=5, conv="a~b", message_id=1, from_="a", kind="text"))
    assert message == {
        "type": "message",
        "ts": 5,
        "conv": "a~b",
        "message_id": 1,
        "from": "a",
        "kind": "text",
    }


def test_a_service_asks_in_somebodys_name_and_is_told_the_reply():
    asked = msgspec.json.decode(
        b'{"ref":"1","as":{"user":"alice","device":"phone"},"request":{"op":"ack","seq":1}}',
        type=m.ServiceRequest,
    )
    assert asked.as_ == m.ActingAs(user="alice", device="phone")
    assert bytes(asked.request) == b'{"op":"ack","seq":1}'
    assert wire(asked)["as"] == {"user": "alice", "device": "phone"}
    assert wire(m.ServiceReply(ref="1", reply=None)) == {"ref": "1", "reply": None}
    assert wire(m.ServiceReply(ref="1", reply=msgspec.Raw(b'{"re":"q"}'))) == {
        "ref": "1",
        "reply": {"re": "q"},
    }
