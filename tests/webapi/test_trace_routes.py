"""One message's way over HTTP: who is told all of it, who their own part, and who nothing."""

import pytest

from pabal.errors import Forbidden, NotAMember, NotFound

PATH = "/v1/conversations/alice~bob/messages/7/trace"


@pytest.fixture
def traces(web):
    return web.chat.traces


@pytest.mark.parametrize("path", [PATH, PATH.replace("alice~bob", "@bob")])
def test_whoever_wrote_it_is_told_what_is_the_writers_business(web, traces, path):
    answer = web.call("GET", path, token=web.login())
    assert (answer.status_code, answer.json["from"], answer.json["way"]) == (200, "alice", "inbox")
    assert traces.asked == [("alice", "alice~bob", 7)]


def test_an_admin_is_told_all_of_it(web, traces):
    web.world.accounts.set_admin("bob", True)
    web.call("GET", PATH, token=web.login("bob"))
    assert traces.asked == [("whole", "alice~bob", 7)]


def test_a_device_secret_of_an_admin_is_no_admin(web, traces):
    web.world.accounts.set_admin("bob", True)
    web.call("GET", PATH, token=web.secret("bob"))
    assert traces.asked == [("bob", "alice~bob", 7)]


@pytest.mark.parametrize("refusal", [Forbidden("not yours"), NotAMember("others"), NotFound("no such")])
def test_whoever_may_not_know_is_refused(web, traces, refusal):
    traces.refusal = refusal
    answer = web.call("GET", PATH, token=web.login())
    assert (answer.status_code, answer.json["code"]) == (refusal.http_status, refusal.code)


@pytest.mark.parametrize(
    "path", [PATH.replace("7", "0"), PATH.replace("7", "x"), PATH.replace("alice~bob", "?")]
)
def test_what_is_no_message_is_not_looked_for(web, traces, path):
    assert web.call("GET", path, token=web.login()).status_code in {400, 404}
    assert traces.asked == []


def test_nobody_is_told_without_a_login_or_the_right_to_receive(web, traces):
    assert web.call("GET", PATH).status_code == 401
    assert web.call("GET", PATH, token=web.secret(allow=["send"])).status_code == 403
    assert traces.asked == []
