import threading
import time

import pytest

from pabal.errors import Unavailable
from pabal.ids import UserId
from webapi.wakeups import Wakeups

ALICE, BOB = UserId("alice"), UserId("bob")
SOON = 60.0


def until(condition):
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Heads:
    def __init__(self):
        self.known = {}
        self.asked = []
        self.fails = 0

    def __call__(self, users):
        self.asked.append(set(users))
        if self.fails:
            self.fails -= 1
            raise Unavailable("down")
        known = dict(self.known)  # at once: the test changes it meanwhile
        return {user: head for user, head in known.items() if user in users}


@pytest.fixture
def heads():
    return Heads()


@pytest.fixture
def wakeups(heads):
    made = Wakeups(heads, max_waits=2, interval_s=0.01)
    yield made
    made.close()


class Waiter:
    def __init__(self, wakeups, user, head, timeout_s=SOON):
        self.woken = None
        self._thread = threading.Thread(target=self._wait, args=(wakeups, user, head, timeout_s))
        self._thread.start()

    def _wait(self, wakeups, user, head, timeout_s):
        self.woken = wakeups.wait(user, head, time.monotonic() + timeout_s)

    def join(self):
        self._thread.join()
        return self.woken


def test_who_waits_is_woken_when_the_inbox_grows_and_others_wait_on(heads, wakeups):
    alice, bob = Waiter(wakeups, ALICE, 0), Waiter(wakeups, BOB, 0)
    until(lambda: {ALICE, BOB} in heads.asked)
    heads.known[ALICE] = 1
    assert alice.join() is True
    assert bob.woken is None
    heads.known[BOB] = 1
    assert bob.join() is True


def test_a_head_that_went_back_wakes_too(heads, wakeups):
    heads.known[ALICE] = 3
    assert Waiter(wakeups, ALICE, 5).join() is True


def test_a_wait_ends_at_its_deadline(wakeups):
    assert Waiter(wakeups, ALICE, 0, timeout_s=0.02).join() is False


def test_nobody_asks_the_database_while_nobody_waits(heads, wakeups):
    Waiter(wakeups, ALICE, 0, timeout_s=0.02).join()
    until(lambda: wakeups._watcher is None)
    asked = len(heads.asked)
    heads.known[ALICE] = 1
    assert Waiter(wakeups, ALICE, 0).join() is True
    assert len(heads.asked) > asked


def test_a_database_that_fails_for_a_while_is_asked_again(heads, wakeups):
    heads.fails = 3
    heads.known[ALICE] = 1
    assert Waiter(wakeups, ALICE, 0).join() is True
    assert heads.fails == 0


def test_a_fault_of_the_watcher_does_not_stop_those_who_come_later(wakeups, heads, monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    heads.known = None
    first = Waiter(wakeups, ALICE, 0)
    until(lambda: seen)
    heads.known = {ALICE: 1}
    assert Waiter(wakeups, ALICE, 0).join() is True
    assert first.join() is True, "it is looked after by the next watcher"


def test_places_are_bounded_and_come_free_again(wakeups):
    with wakeups.place(), wakeups.place(), pytest.raises(Unavailable) as refused, wakeups.place():
        pass
    assert refused.value.retry_after is not None
    with wakeups.place(), wakeups.place():
        pass


def test_closing_ends_all_waits_and_later_ones_at_once(wakeups, heads):
    waiting = Waiter(wakeups, ALICE, 0)
    until(lambda: heads.asked)
    wakeups.stop_waiting()
    assert waiting.join() is False
    assert Waiter(wakeups, ALICE, 0).join() is False
    wakeups.close()
