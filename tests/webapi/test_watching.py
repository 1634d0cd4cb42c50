"""What is known of a request afterwards: counted by route and status, and followed where it asks for that."""

import pytest
from account_fakes import PASSWORD

from bridge.tracing import Tracing, current
from pabal.trace import parse
from webapi.app import Services, create_app, watched
from webapi.settings import BrokerEndpoint, WebSettings

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
BROUGHT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class Kept:
    def __init__(self):
        self.spans = []

    def record(self, span):
        self.spans.append(span)


@pytest.fixture
def followed(open_web):
    """`followed(tracing)`: the application, followed, and what the relay was asked in whose trace."""

    def make(tracing):
        web = open_web()
        asked, ask = [], web.chat.ask

        def noted(*arguments):
            asked.append(current.get())
            return ask(*arguments)

        web.chat.ask = noted
        app = create_app(
            Services(web.world.accounts, web.chat, web.chat, tracing=tracing),
            WebSettings(brokers=(BrokerEndpoint(None, None),)),
        )
        return app, asked, web.login()

    return make


def send(app, token, **headers):
    return app.test_client().post(
        "/v1/conversations/@bob/messages",
        json={"text": "hi"},
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def test_a_trace_context_goes_to_the_relay_and_comes_back(followed):
    kept = Kept()
    app, asked, token = followed(Tracing([kept], per_second=10))
    assert send(app, token, traceparent=BROUGHT).headers["traceparent"] == BROUGHT
    (span,) = kept.spans
    assert (span.name, span.trace_id, span.parent_id) == ("http", TRACE_ID, "00f067aa0ba902b7")
    assert span.about == {"method": "POST", "route": "/v1/conversations/<conv>/messages", "status": 201}
    assert [(trace.trace_id, trace.parent_id) for trace in asked] == [(TRACE_ID, span.span_id)]
    assert current.get() is None


def test_without_one_or_with_what_is_none_nothing_is_followed(followed):
    kept = Kept()
    app, asked, token = followed(Tracing([kept], per_second=10))
    assert "traceparent" not in send(app, token).headers
    assert "traceparent" not in send(app, token, traceparent="00-none").headers
    assert (kept.spans, asked) == ([], [None, None])


def test_every_so_manieth_is_given_one(followed):
    kept = Kept()
    app, _asked, token = followed(Tracing([kept], every=2, per_second=10))
    made = [send(app, token).headers.get("traceparent") for _ in range(4)]
    assert made[0] is made[2] is None
    assert [parse(one).trace_id for one in (made[1], made[3])] == [span.trace_id for span in kept.spans]


def test_answers_are_counted_by_route_and_status(open_web):
    web = open_web()
    figures = watched(web.app).figures
    token = web.login()
    assert web.call("GET", "/v1/me", token=token).status_code == 200
    for _ in range(2):
        assert web.call("GET", "/v1/me").status_code == 401
    assert web.call("GET", "/v1/users/bob", token=token).status_code == 200
    assert web.call("GET", "/v1/nothing").status_code == 404
    assert (
        web.call("POST", "/v1/sessions", {"user": "alice", "password": PASSWORD, "device": "d"}).status_code
        == 201
    )
    assert figures.answers == {
        ("GET /v1/me", "200"): 1,
        ("GET /v1/me", "401"): 2,
        ("GET /v1/users/<user>", "200"): 1,
        ("GET -", "404"): 1,
        ("POST /v1/sessions", "201"): 1,
    }
    assert figures.seconds["GET /v1/me"].count == 3


def test_a_method_that_no_server_knows_makes_no_figure_of_its_own(open_web):
    web = open_web()
    for number in range(3):
        web.call(f"MADEUP{number}", "/v1/me")
    assert set(watched(web.app).figures.answers) == {("? -", "405")}
