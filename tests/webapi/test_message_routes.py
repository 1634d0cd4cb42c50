import pytest

from pabal.errors import BadRequest, Blocked, Conflict, RateLimited, Unavailable


def assert_problem(answer, status, code, says=""):
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert says in answer.json["detail"]
    return answer.json


def send(web, body=None, to="@bob", **more):
    token = more.pop("token", None) or web.login()
    return web.call("POST", f"/v1/conversations/{to}/messages", body or {"text": "hi"}, token=token, **more)


# Messages


@pytest.mark.parametrize("to", ["@bob", "alice~bob"])
def test_a_message_is_sent_to_a_user_or_a_conversation(web, to):
    answer = send(web, {"text": "hi", "id": "r1"}, to)
    assert answer.status_code == 201
    assert answer.json == {"conv": "alice~bob", "message_id": 1, "ts": 1, "dup": False}
    ((user, device, request),) = web.chat.requests
    assert (user, device, request["id"], request["text"]) == ("alice", "phone", "r1", "hi")


def test_the_same_id_again_is_a_dup_with_200(web):
    token = web.login()
    first = send(web, {"text": "hi", "id": "r1"}, token=token)
    second = send(web, {"text": "hi", "id": "r1"}, token=token)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json == {**first.json, "dup": True}


def test_a_message_without_an_id_gets_one_from_the_server(web):
    token = web.login()
    assert [send(web, token=token).json["message_id"] for _ in range(2)] == [1, 2]
    assert len({request["id"] for _, _, request in web.chat.requests}) == 2


def test_the_path_says_where_a_message_goes_whatever_the_body_says(web):
    answer = send(web, {"text": "hi", "to": "carol", "conv": "alice~carol", "op": "ack"})
    assert answer.json["conv"] == "alice~bob"


def test_a_message_is_forwarded_and_given_a_time(web):
    source = {"conv": "alice~carol", "message_id": 3}
    assert send(web, {"forward_of": source, "expires_in": 60}).status_code == 201
    ((_user, _device, request),) = web.chat.requests
    assert (request["forward_of"], request["expires_in"]) == (source, 60)


@pytest.mark.parametrize("field", ["attachments"])
def test_what_the_relay_does_not_know_yet_is_refused_by_it_and_not_dropped(web, field):
    web.chat.refusal = BadRequest("not built yet", field=field)
    for path, body in (("/v1/conversations/@bob/messages", {}), ("/v1/requests", {"to": "bob"})):
        answer = web.call("POST", path, {"text": "hi", field: 5, **body}, token=web.login())
        assert_problem(answer, 400, "bad_request", field)
    assert [request[field] for _, _, request in web.chat.requests] == [5, 5]


@pytest.mark.parametrize(
    ("to", "body", "says"),
    [
        ("@bob", {"kind": "text"}, "text"),
        ("@bob", {"text": 5}, "text"),
        ("@bob", {"text": "a\0b"}, "text"),
        ("@bob", {"text": "hi", "id": ""}, "id"),
        ("@bob", {"text": "hi", "reply_to": 0}, "reply_to"),
        ("@Bob", {"text": "hi"}, "conv"),
        ("bob~alice", {"text": "hi"}, "conv"),
        ("nonsense", {"text": "hi"}, "conv"),
    ],
)
def test_a_malformed_message_is_a_bad_request_that_names_the_field(web, to, body, says):
    assert_problem(send(web, body, to), 400, "bad_request", says)
    assert web.chat.requests == []


def test_a_text_that_is_too_long_is_too_large(web):
    assert_problem(send(web, {"text": "x" * (32 * 1024 + 1)}), 413, "too_large", "text")
    assert send(web, {"text": "x" * (32 * 1024)}).status_code == 201


def test_a_message_to_nobody_is_not_found(web):
    assert_problem(send(web, to="@nobody"), 404, "not_found")


def test_a_message_into_a_conversation_of_others_is_refused(web):
    assert_problem(send(web, to="bob~carol"), 403, "not_a_member")


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Blocked("no"), 403, "blocked"),
        (Conflict("no"), 409, "conflict"),
        (RateLimited("no", retry_after=7), 429, "rate_limited"),
        (Unavailable("no", retry_after=7), 503, "unavailable"),
    ],
)
def test_a_refusal_of_the_relay_is_told_with_its_status(web, refusal, status, code):
    web.chat.refusal = refusal
    answer = send(web)
    problem = assert_problem(answer, status, code, "no")
    if refusal.retry_after:
        assert answer.headers["Retry-After"] == "7"
        assert problem["retry_after"] == 7


def test_a_device_that_may_only_receive_cannot_send(web):
    secret = web.secret(allow=["receive"])
    assert_problem(send(web, token=secret), 403, "forbidden")
    assert web.call("GET", "/v1/sync?after=0", token=secret).status_code == 200


@pytest.mark.parametrize("path", ["/v1/sync?after=0", "/v1/conversations", "/v1/conversations/@bob/messages"])
def test_a_device_that_may_only_send_cannot_read(web, path):
    secret = web.secret(allow=["send"])
    assert_problem(web.call("GET", path, token=secret), 403, "forbidden")
    assert send(web, token=secret).status_code == 201


def test_history_is_read_in_pages(web):
    token = web.login()
    for number in range(3):
        send(web, {"text": str(number)}, token=token)
    newest = web.call("GET", "/v1/conversations/alice~bob/messages?limit=2", token=token)
    assert newest.status_code == 200
    assert [one["message_id"] for one in newest.json["items"]] == [2, 3]
    assert (newest.json["head"], newest.json["more"], newest.json["conv"]) == (3, True, "alice~bob")
    assert not {"re", "ok"} & newest.json.keys()
    older = web.call("GET", "/v1/conversations/@bob/messages?before=2", token=token).json
    assert [one["text"] for one in older["items"]] == ["0"]
    newer = web.call("GET", "/v1/conversations/@bob/messages?after=2", token=token).json
    assert [one["text"] for one in newer["items"]] == ["2"]


@pytest.mark.parametrize(
    "query", ["before=0", "after=-1", "limit=0", "limit=201", "limit=x", "before=1&after=1", "limit="]
)
def test_a_wrong_page_of_history_is_a_bad_request(web, query):
    answer = web.call("GET", f"/v1/conversations/@bob/messages?{query}", token=web.login())
    assert_problem(answer, 400, "bad_request", query.partition("=")[0])


def test_history_of_others_is_refused(web):
    answer = web.call("GET", "/v1/conversations/bob~carol/messages", token=web.login())
    assert_problem(answer, 403, "not_a_member")


def test_history_of_a_group_that_is_none_is_not_found(web):
    answer = web.call("GET", "/v1/conversations/gaaaaaaaaaaaa/messages", token=web.login())
    assert_problem(answer, 404, "not_found")


def test_conversations_are_listed_in_pages(web):
    token = web.login()
    for to in ("@bob", "@carol"):
        send(web, to=to, token=token)
    first = web.call("GET", "/v1/conversations?limit=1", token=token).json
    assert ([one["conv"] for one in first["conversations"]], first["more"]) == (["alice~bob"], True)
    rest = web.call("GET", "/v1/conversations?after=alice~bob", token=token).json
    assert ([one["conv"] for one in rest["conversations"]], rest["more"]) == (["alice~carol"], False)
    assert not {"re", "ok"} & rest.keys()


@pytest.mark.parametrize("query", ["after=x", "limit=0", "limit=201"])
def test_a_wrong_page_of_conversations_is_a_bad_request(web, query):
    assert_problem(web.call("GET", f"/v1/conversations?{query}", token=web.login()), 400, "bad_request")


# Requests


def test_any_request_gets_its_reply_as_on_mqtt(web):
    token = web.login()
    sent = web.call("POST", "/v1/requests", {"to": "bob", "text": "hi", "id": "r1"}, token=token)
    assert sent.status_code == 200
    assert sent.json == {
        "re": "r1",
        "ok": True,
        "conv": "alice~bob",
        "message_id": 1,
        "ts": 1,
        "dup": False,
    }
    page = web.call("POST", "/v1/requests", {"op": "sync", "after": 0, "id": "r2"}, token=token)
    assert (page.json["re"], len(page.json["items"])) == ("r2", 1)
    acked = web.call("POST", "/v1/requests", {"op": "ack", "seq": 1, "id": "r3"}, token=token)
    assert acked.json == {"re": "r3", "ok": True}


def test_a_request_without_an_id_is_answered_without_one(web):
    answer = web.call("POST", "/v1/requests", {"to": "bob", "text": "hi"}, token=web.login())
    assert answer.json["re"] is None
    assert answer.json["message_id"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "re_"),
    [
        ({"op": "fly", "id": "r1"}, 400, "bad_request", "r1"),
        ({"op": "ack", "id": "r1"}, 400, "bad_request", "r1"),
        ({"text": "hi", "id": "r1"}, 400, "bad_request", "r1"),
        ({"text": "hi", "id": 5}, 400, "bad_request", None),
        ({"to": "nobody", "text": "hi"}, 404, "not_found", None),
        ({"conv": "bob~carol", "text": "hi", "id": "r1"}, 403, "not_a_member", "r1"),
    ],
)
def test_a_refused_request_is_a_problem_with_the_fields_of_a_reply(web, body, status, code, re_):
    problem = assert_problem(web.call("POST", "/v1/requests", body, token=web.login()), status, code)
    assert (problem["re"], problem["ok"], problem["error"]) == (re_, False, code)


@pytest.mark.parametrize("content", [b"[]", b'[{"to":"bob","text":"hi"}]', b"5", b"null", b"{", b"", b"\xff"])
def test_what_is_no_json_object_is_a_bad_request(web, content):
    answer = web.call(
        "POST", "/v1/requests", token=web.login(), data=content, content_type="application/json"
    )
    assert_problem(answer, 400, "bad_request")


@pytest.mark.parametrize(
    ("allow", "body"), [("receive", {"to": "bob", "text": "x"}), ("send", {"op": "sync", "after": 0})]
)
def test_requests_keep_to_the_rights_of_the_device(web, allow, body):
    assert_problem(web.call("POST", "/v1/requests", body, token=web.secret(allow=[allow])), 403, "forbidden")
    assert web.call("POST", "/v1/requests", body, token=web.login()).status_code == 200


def test_a_request_that_would_not_fit_a_packet_is_too_large(open_web):
    web = open_web(max_body_bytes=1_000_000)
    body = {"to": "bob", "text": "hi", "unknown": "x" * 262_144}
    assert_problem(web.call("POST", "/v1/requests", body, token=web.login()), 413, "too_large")
    assert web.chat.requests == []


# Sync


def test_polling_answers_at_once_with_what_there_is(web):
    token = web.login("bob")
    empty = web.call("GET", "/v1/sync?after=0", token=token)
    assert empty.json == {"epoch": "e1", "head": 0, "items": [], "more": False, "rooms": {}}
    send(web)
    page = web.call("GET", "/v1/sync?after=0&epoch=e1&limit=1&wait=0", token=token).json
    assert [one["seq"] for one in page["items"]] == [1]


def test_a_cursor_that_cannot_be_continued_from_starts_over(web):
    page = web.call("GET", "/v1/sync?after=5&wait=60", token=web.login()).json
    assert page["reset"] is True
    assert page["conversations"] == []


@pytest.mark.parametrize(
    "query", ["", "after=-1", "after=x", "after=0&limit=501", "after=0&wait=61", "after=0&wait=-1"]
)
def test_a_wrong_sync_is_a_bad_request(web, query):
    assert_problem(web.call("GET", f"/v1/sync?{query}", token=web.login()), 400, "bad_request")


def test_with_the_relay_down_nothing_is_kept_and_the_sender_is_told(web):
    token = web.login()
    web.chat.is_up = False
    for answer in (send(web, token=token), web.call("GET", "/v1/sync?after=0", token=token)):
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
