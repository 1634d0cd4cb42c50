import threading

import pytest
from redis_server import RedisServer, link_to, until

from bridge.backplane.address import RedisAddress
from bridge.backplane.bells import MAX_NAMES, NEWS, ChangeBell, SharedBell, read_news
from bridge.backplane.courier import Courier
from bridge.backplane.link import Away
from bridge.backplane.listener import Listener
from bridge.backplane.plane import NullPlane, RedisPlane
from bridge.backplane.registry import LiveBroker

HERE = RedisAddress.parse("redis://x/2")


class Link:
    """Remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.away = False

    def ask(self, *words):
        if self.away:
            raise Away
        self.asked.append(words)
        return 1


@pytest.fixture
def link():
    return Link()


def test_what_is_rung_together_is_told_in_one_message(link):
    rung = []
    bell = SharedBell(link, HERE, lambda: rung.append(1))
    bell.news(["alice", "bob"])
    bell.news(["bob", "carol"])
    bell.pushes()
    bell.pushes()
    assert rung
    bell.run()
    (_, channel, names), (_, push, _nothing) = link.asked
    assert (channel, push) == ("pabal:2:news", "pabal:2:push")
    assert read_news(names.encode()) == {"alice", "bob", "carol"}
    bell.run()
    assert len(link.asked) == 2, "nothing is told twice"


def test_of_more_names_than_are_kept_everybody_is_meant(link):
    bell = SharedBell(link, HERE, lambda: None)
    for first in range(0, 3 * MAX_NAMES, 1000):
        bell.news([f"u{number}" for number in range(first, first + 1000)])
    assert len(bell._users) <= MAX_NAMES + 1000
    bell.run()
    assert read_news(link.asked[0][2].encode()) is None


def test_what_could_not_be_told_is_forgotten(link):
    bell = SharedBell(link, HERE, lambda: None)
    link.away = True
    bell.news(["alice"])
    with pytest.raises(Away):
        bell.run()
    link.away = False
    bell.run()
    assert link.asked == []


def test_a_change_is_rung_at_once_and_never_raises(link):
    bell = ChangeBell(link, HERE)
    bell()
    link.away = True
    bell()
    assert link.asked == [("PUBLISH", "pabal:2:changes", "")]


def test_the_courier_does_its_errands_when_woken_and_by_itself_and_one_that_fails_stops_no_other():
    done, failing = threading.Semaphore(0), [Away, RuntimeError]

    def fails():
        if failing:
            raise failing.pop()

    courier = Courier(spacing_s=0.001, round_s=0.01)
    courier.start([fails, done.release])
    for _ in range(3):
        assert done.acquire(timeout=60)
    courier.stop()
    courier.stop()
    assert not failing


def test_a_courier_that_is_woken_does_not_wait_for_its_round():
    done = threading.Event()
    courier = Courier(round_s=3600)
    courier.start([done.set])
    courier.wake()
    assert done.wait(60)
    courier.stop()


class Ears:
    def __init__(self):
        self.news, self.changes, self.pushes = [], 0, 0

    def heard_change(self):
        self.changes += 1

    def heard_push(self):
        self.pushes += 1

    def listen(self, plane):
        plane.hear(news=self.news.append, changes=self.heard_change, pushes=self.heard_push)


BROKER = LiveBroker("a", "mqtt://a:1", None)


def planes(server, count):
    return [RedisPlane(RedisAddress.parse(server.url), timeout_s=10) for _ in range(count)]


def test_one_process_rings_and_the_others_hear_it(server):
    relay, web = planes(server, 2)
    ears = Ears()
    ears.listen(web)
    until(lambda: (ears.news[0] if ears.news else 0, ears.changes, ears.pushes) == (None, 1, 1))
    relay.speak(1, lambda: BROKER)
    relay.bell.news(["alice", "bob"])
    until(lambda: {"alice", "bob"} in ears.news)
    relay.bell.pushes()
    until(lambda: ears.pushes >= 2)
    relay.changed()
    until(lambda: ears.changes >= 2)
    until(web.brokers)
    relay.mirror.changed("alice", "online")
    until(lambda: web.states(["alice"]) == {"alice": "online"})
    for plane in (relay, web):
        plane.stop()
        plane.stop()


@pytest.mark.parametrize("trouble", ["killed", "hanging", "cut off"])
def test_who_listens_hears_again_after_trouble_and_is_told_that_something_may_have_been_missed(
    own: RedisServer, trouble, monkeypatch
):
    monkeypatch.setattr("bridge.backplane.plane.Listener", quick_listener)
    relay, web = planes(own, 2)
    ears = Ears()
    ears.listen(web)
    until(lambda: ears.news == [None])
    if trouble == "killed":
        own.kill()
        own.start()
    elif trouble == "hanging":
        own.freeze()
        until(lambda: not web._listener.connected.is_set())
        own.thaw()
    else:
        own.ask("CLIENT", "KILL", "TYPE", "pubsub")
    until(lambda: ears.news.count(None) >= 2)
    relay.speak(1, lambda: BROKER)

    def heard():
        relay.bell.news(["alice"])
        return {"alice"} in ears.news

    until(heard)
    relay.stop()
    web.stop()


def quick_listener(address, channels):
    return Listener(address, channels, quiet_s=0.2, dead_s=3.0)


def test_who_listens_to_a_redis_that_is_not_there_yet_hears_it_when_it_is(own: RedisServer):
    own.kill()
    (web,) = planes(own, 1)
    ears = Ears()
    ears.listen(web)
    own.start()
    until(lambda: ears.news == [None])
    web.stop()


def test_a_broker_that_stops_is_not_listed_any_longer_and_one_that_was_killed_soon_is_not(own: RedisServer):
    relay, web = planes(own, 2)
    relay.speak(1, lambda: BROKER)
    until(lambda: own.ask("HLEN", "pabal:brokers") == 1)
    relay.stop()
    assert own.ask("HLEN", "pabal:brokers") == 0
    web.stop()


def test_behind_another_broker_there_is_none_of_ours_to_be_listed(server):
    relay, web = planes(server, 2)
    relay.mirror.changed("alice", "online")
    relay.speak(1)
    until(lambda: web.states(["alice"]) == {"alice": "online"})
    assert list(web.brokers()) == []
    relay.stop()
    web.stop()


def test_without_redis_nothing_is_heard_and_nothing_known():
    plane, ears = NullPlane(), Ears()
    ears.listen(plane)
    plane.speak(1, lambda: BROKER)
    plane.bell.news(["alice"])
    plane.bell.pushes()
    plane.mirror.changed("alice", "online")
    plane.changed()
    assert (ears.news, list(plane.brokers()), plane.states(["alice"]), plane.figures) == ([], [], None, None)
    assert plane.counting("a", 1.0, 1).take("alice") == 0.0
    plane.stop()


def test_a_channel_is_that_of_its_numbered_database(own: RedisServer):
    other = RedisPlane(RedisAddress.parse(f"{own.url}/1"))
    mine = RedisPlane(RedisAddress.parse(own.url))
    ears = Ears()
    ears.listen(mine)
    until(lambda: ears.changes == 1)
    other.changed()
    mine.changed()
    until(lambda: ears.changes >= 2)
    link = link_to(own)
    assert link.ask("PUBSUB", "NUMSUB", f"pabal:0:{NEWS}", f"pabal:1:{NEWS}") == [
        b"pabal:0:news",
        1,
        b"pabal:1:news",
        0,
    ]
    link.close()
    other.stop()
    mine.stop()
