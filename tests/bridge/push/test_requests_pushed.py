"""What is pushed to whoever is asked to be a contact."""

import pytest

DIRECT = "alice~bob"
# The clock of the tests stands at 09:16 in the morning of 1970-01-01 in Seoul.
SEOUL_NOW = {"from": "09:00", "to": "10:00", "tz": "Asia/Seoul"}


@pytest.mark.parametrize(
    ("how", "title", "body"),
    [
        ({}, "alice", "연락처 요청: 우리 수업에서 봤어요"),
        ({"lang": "en"}, "alice", "asks to be your contact: 우리 수업에서 봤어요"),
        ({"preview": "sender"}, "alice", "연락처 요청을 보냈습니다"),
        ({"preview": "sender", "lang": "en"}, "alice", "asks to be your contact"),
        ({"preview": "none"}, None, None),
    ],
)
async def test_who_is_asked_to_be_a_contact_is_told(push, how, title, body):
    await push.subscribe(**how)
    await push.subscribe("alice")
    await push.ok("alice", {"op": "contact.request", "user": "bob", "text": "우리 수업에서  봤어요"})
    (told,) = await push.pushed()
    assert (told.kind, told.conv, told.message_id, told.title, told.body) == (
        "contact",
        DIRECT,
        None,
        title,
        body,
    )
    assert (told.urgent, told.badge) == (False, 0)
    # Neither answering nor that somebody answered is told.
    await push.ok("bob", {"op": "contact.accept", "user": "alice"})
    assert await push.pushed() == []


async def test_a_request_to_be_a_contact_and_a_message_do_not_take_each_others_place(push):
    await push.subscribe()
    await push.ok("alice", {"op": "contact.request", "user": "bob"})
    await push.said("hi")
    first, second = await push.pushed()
    assert [first.kind, second.kind] == ["contact", "message"]
    assert first.collapse != second.collapse


@pytest.mark.parametrize(
    ("by", "meanwhile", "reason"),
    [
        ("alice", {"op": "contact.remove", "user": "bob"}, "answered"),
        ("bob", {"op": "contact.accept", "user": "alice"}, "answered"),
        ("bob", {"op": "block.add", "user": "alice"}, "answered"),
        ("bob", {"op": "quiet.set", "hours": SEOUL_NOW}, "quiet"),
        ("bob", {"op": "ack", "seq": 1}, "acknowledged"),
    ],
)
async def test_a_request_to_be_a_contact_is_not_told_in_vain(push, by, meanwhile, reason):
    await push.subscribe()
    await push.ok("alice", {"op": "contact.request", "user": "bob"})
    await push.ok(by, meanwhile)
    assert await push.pushed() == []
    assert push.jobs() == [("message", None, "dropped", reason)]
