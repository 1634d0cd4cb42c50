import threading
import time

import pytest
from account_fakes import PASSWORD


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Poll:
    """A long poll under way in a thread of its own."""

    def __init__(self, web, token, wait=60, after=0):
        self._web = web
        self._token = token
        self._path = f"/v1/sync?after={after}&wait={wait}"
        self._thread = threading.Thread(target=self._run)
        self.answer = None
        self._thread.start()

    def _run(self):
        client = self._web.app.test_client()
        self.answer = client.get(self._path, headers={"Authorization": f"Bearer {self._token}"})

    def join(self):
        self._thread.join()
        return self.answer


def say_hi(web):
    web.world.accounts.log_in("alice", PASSWORD, "writer")
    web.chat.ask("alice", "writer", b'{"to":"bob","text":"hi","id":"x"}')


def test_a_long_poll_is_answered_as_soon_as_there_is_something(web):
    poll = Poll(web, web.login("bob"))
    until(lambda: web.chat.headed)
    assert poll.answer is None
    say_hi(web)
    answer = poll.join()
    assert answer.status_code == 200
    assert [one["seq"] for one in answer.json["items"]] == [1]


def test_a_long_poll_with_something_there_does_not_wait(web):
    token = web.login("bob")
    say_hi(web)
    answer = Poll(web, token).join()
    assert len(answer.json["items"]) == 1
    assert web.chat.headed == 0


def test_a_long_poll_ends_empty_when_its_time_is_over(web):
    answer = Poll(web, web.login("bob"), wait=1).join()
    assert (answer.status_code, answer.json["items"], answer.json["head"]) == (200, [], 0)


def test_a_poll_that_is_woken_for_nothing_waits_on(web):
    """As when the page that was read and the head that was seen are not of the same moment."""
    real, lies = web.chat.heads, []

    def heads(users):
        if not lies:
            lies.append(1)
            return dict.fromkeys(users, 7)
        return real(users)

    web.app.extensions["pabal"].wakeups._heads = heads
    poll = Poll(web, web.login("bob"))
    until(lambda: lies and web.chat.headed)
    assert poll.answer is None
    say_hi(web)
    assert len(poll.join().json["items"]) == 1


def test_beyond_the_bound_a_long_poll_is_refused_and_polling_still_works(open_web):
    web = open_web(max_waits=1)
    token = web.login("bob")
    poll = Poll(web, token)
    until(lambda: web.chat.headed)
    refused = Poll(web, token).join()
    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert web.call("GET", "/v1/sync?after=0&wait=0", token=token).status_code == 200
    say_hi(web)
    assert poll.join().status_code == 200
    assert Poll(web, token).join().status_code == 200


@pytest.mark.parametrize("how", ["log_out", "disable"])
def test_who_lost_the_session_while_waiting_is_told_nothing(web, how):
    token = web.login("bob")
    poll = Poll(web, token)
    until(lambda: web.chat.headed)
    if how == "log_out":
        web.world.accounts.log_out(web.world.accounts.authenticate_bearer(token))
    else:
        web.world.accounts.disable("bob")
    say_hi(web)
    answer = poll.join()
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")


def test_a_token_that_expires_while_waiting_still_gets_its_answer(web):
    poll = Poll(web, web.login("bob"))
    until(lambda: web.chat.headed)
    web.world.clock.advance(3600)
    say_hi(web)
    assert poll.join().status_code == 200
