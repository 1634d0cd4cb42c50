from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pabal_client.effects import Subscribe, Unsubscribe
from pabal_client.live import Presence
from pabal_client.watching import Watching

TOPIC = "pabal/v1/presence/"


@pytest.fixture
def watching():
    watching = Watching(lambda: 0.5)
    watching.start(0.0)
    return watching


@pytest.fixture
def token():
    tokens = count(1)
    return lambda: next(tokens)


def names(subscribe):
    return [name.removeprefix(TOPIC) for name, _ in subscribe.filters]


def test_nothing_is_asked_for_without_a_connection(token):
    watching = Watching(lambda: 0.5)
    watching.watch(["bob"], 0.0)
    assert watching.subscription(token, 0.0) == []
    assert watching.deadline() is None
    watching.start(5.0)
    assert watching.deadline() == 5.0
    (subscribe,) = watching.subscription(token, 5.0)
    assert subscribe == Subscribe(((f"{TOPIC}bob", 0),), 1)


def test_one_packet_of_fifty_after_the_other(watching, token):
    watching.watch([f"u{number}" for number in range(70)], 0.0)
    (first,) = watching.subscription(token, 0.0)
    assert len(first.filters) == 50
    assert watching.subscription(token, 0.0) == []
    watching.subscribed(first.token, [True] * 50, 1.0)
    (second,) = watching.subscription(token, 1.0)
    assert len(second.filters) == 20
    watching.subscribed(second.token, [True] * 20, 1.0)
    assert watching.subscription(token, 99.0) == []
    assert watching.deadline() is None


def test_what_is_refused_is_tried_again_after_growing_pauses(watching, token):
    watching.watch(["bob", "carol"], 0.0)
    now, pauses = 0.0, []
    for attempt in range(8):
        (subscribe,) = watching.subscription(token, now)
        assert names(subscribe) == (["carol"] if attempt else ["bob", "carol"])
        watching.subscribed(subscribe.token, [name == "bob" for name in names(subscribe)], now)
        pauses.append(watching.deadline() - now)
        assert watching.subscription(token, now + pauses[-1] - 0.1) == []
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_is_refused_is_tried_again_at_once_when_relations_change(watching, token):
    watching.watch(["bob"], 0.0)
    for now in (0.0, 1.0):
        (subscribe,) = watching.subscription(token, now)
        watching.subscribed(subscribe.token, [False], now)
    watching.look(["message", "read"], 1.0)
    assert watching.subscription(token, 1.0) == []
    watching.look(["contact"], 2.0)
    (subscribe,) = watching.subscription(token, 2.0)
    watching.subscribed(subscribe.token, [False], 2.0)
    assert watching.deadline() == 3.0


def test_who_is_watched_no_more_is_unsubscribed_and_not_heard(watching, token):
    watching.watch(["bob", "carol"], 0.0)
    (subscribe,) = watching.subscription(token, 0.0)
    watching.subscribed(subscribe.token, [True, True], 0.0)
    watching.unwatch(["bob", "nobody"])
    assert watching.subscription(token, 1.0) == [Unsubscribe((f"{TOPIC}bob",))]
    assert not watching.owns(f"{TOPIC}bob")
    assert watching.owns(f"{TOPIC}carol")
    watching.unwatch(["carol"])
    watching.watch(["carol"], 2.0)
    (again,) = watching.subscription(token, 2.0)
    assert names(again) == ["carol"]


def test_only_changes_are_told_and_nonsense_is_passed_over(watching):
    watching.watch(["bob"], 0.0)
    payloads = [
        b'{"state":"online"}',
        b'{"state":"online","x":1}',
        b"[",
        b'{"state":7}',
        b"",
        b'{"state":"away"}',
    ]
    told = [one for payload in payloads for one in watching.heard(f"{TOPIC}bob", payload)]
    assert told == [Presence(user="bob", state=state) for state in ("online", "offline", "away")]


def test_an_answer_that_never_comes_gives_the_connection_up_once(watching, token):
    watching.watch(["bob"], 0.0)
    watching.subscription(token, 0.0)
    assert watching.deadline() == 30.0
    assert not watching.given_up(29.0)
    assert watching.given_up(30.0)
    assert not watching.given_up(31.0)
    watching.subscribed(1, [True], 31.0)
    watching.stop()
    assert watching.deadline() is None


def test_there_is_a_bound(watching, monkeypatch):
    monkeypatch.setattr("pabal_client.watching.MAX_WATCHED", 2)
    watching.watch(["a1", "b1", "c1"], 0.0)
    assert [watching.owns(f"{TOPIC}{name}") for name in ("a1", "b1", "c1")] == [True, True, False]


class WatchingMachine(RuleBasedStateMachine):
    """Whatever was answered, lost or changed between: in the end exactly the watched are subscribed."""

    users = st.sampled_from(["a1", "b1", "c1"])

    def __init__(self):
        super().__init__()
        self.watching, self.tokens, self.now = Watching(lambda: 0.5), count(1), 0.0
        self.wished, self.subscribed, self.under_way = set(), set(), []
        self.watching.start(0.0)

    @rule(user=users)
    def watch(self, user):
        self.wished.add(user)
        self.watching.watch([user], self.now)
        self.pump()

    @rule(user=users)
    def unwatch(self, user):
        self.wished.discard(user)
        self.watching.unwatch([user])
        self.pump()

    @rule()
    def relations_change(self):
        self.watching.look(["member"], self.now)
        self.pump()

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds):
        self.now += seconds
        if self.watching.given_up(self.now):
            self.the_link_breaks()
        self.pump()

    @rule()
    def the_link_breaks(self):
        self.watching.stop()
        self.subscribed.clear()
        self.under_way.clear()
        self.watching.start(self.now)
        self.pump()

    def pump(self):
        self.under_way += self.watching.subscription(lambda: next(self.tokens), self.now)

    @rule(granting=st.booleans())
    def the_server_answers(self, granting):
        while self.under_way:
            packet = self.under_way.pop(0)
            if isinstance(packet, Unsubscribe):
                self.subscribed.difference_update(name.removeprefix(TOPIC) for name in packet.topics)
                continue
            if granting:
                self.subscribed.update(names(packet))
            self.watching.subscribed(packet.token, [granting] * len(packet.filters), self.now)
            self.pump()

    def teardown(self):
        for _ in range(3):
            self.time_passes(100)
            self.the_server_answers(granting=True)
        assert {name for name in self.subscribed if self.watching.owns(f"{TOPIC}{name}")} == self.wished


TestWatching = WatchingMachine.TestCase
TestWatching.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
