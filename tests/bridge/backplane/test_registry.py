import pytest
from redis_server import RedisServer, link_to

from bridge.backplane import names
from bridge.backplane.link import Away
from bridge.backplane.registry import (
    EVERY_S,
    KEPT_S,
    TTL_S,
    Announcing,
    KnownBrokers,
    LiveBroker,
    LocalRegistry,
    SharedRegistry,
)

QUIET = LiveBroker("a", "mqtt://a.example:1883", "wss://a.example/mqtt", 3)
BUSY = LiveBroker("b", "mqtt://b.example:1883", None, 500)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry(shared):
    return LocalRegistry() if shared is None else SharedRegistry(shared)


def test_the_least_busy_comes_first(registry):
    assert registry.all() == []
    registry.put(BUSY)
    registry.put(QUIET)
    assert registry.all() == [QUIET, BUSY]


def test_what_is_put_again_replaces_what_was_there(registry):
    registry.put(QUIET)
    busier = LiveBroker("a", QUIET.tcp, QUIET.ws, 900)
    registry.put(busier)
    assert registry.all() == [busier]


def test_who_is_taken_out_is_not_there(registry):
    registry.put(QUIET)
    registry.put(BUSY)
    registry.take_out("a")
    registry.take_out("nobody")
    assert registry.all() == [BUSY]


def test_who_does_not_say_so_again_is_forgotten(clock):
    registry = LocalRegistry(clock)
    registry.put(QUIET)
    clock.now += TTL_S - 1
    registry.put(BUSY)
    clock.now += 2
    assert registry.all() == [BUSY]


def test_in_redis_likewise_and_others_keep_it_from_going_as_a_whole(server, link):
    SharedRegistry(link, ttl_s=0.001).put(QUIET)
    SharedRegistry(link).put(BUSY)
    while len(SharedRegistry(link).all()) == 2:
        pass
    assert SharedRegistry(link).all() == [BUSY]
    assert server.ask("HLEN", names.BROKERS) == 1
    assert 0 < server.ask("PTTL", names.BROKERS) <= TTL_S * 1000


@pytest.mark.parametrize(
    "what",
    [
        "",
        "7",
        "{",
        '{"name":"x"}',
        '{"name":"x","tcp":"http://evil"}',
        '{"name":"x","ws":"javascript:1"}',
        "\xff",
    ],
)
def test_what_no_client_could_connect_to_is_passed_over(server, link, what):
    registry = SharedRegistry(link)
    registry.put(QUIET)
    server.ask("HSET", names.BROKERS, "x", f"9000000000000|{what}")
    server.ask("HSET", names.BROKERS, "y", "no number at all")
    assert registry.all() == [QUIET]


def test_a_broker_says_so_again_and_again_and_takes_itself_out_at_the_end(clock):
    registry, connections = LocalRegistry(clock), iter(range(10))
    announcing = Announcing(registry, lambda: LiveBroker("a", "mqtt://a", None, next(connections)), clock)
    announcing.run()
    announcing.run()
    assert [one.connections for one in registry.all()] == [0], "not more often than every few seconds"
    clock.now += EVERY_S
    announcing.run()
    assert [one.connections for one in registry.all()] == [1]
    announcing.withdraw()
    assert registry.all() == []


class Flaky:
    def __init__(self, registry):
        self.registry = registry
        self.away = False
        self.asked = 0

    def put(self, broker):
        if self.away:
            raise Away
        self.registry.put(broker)

    def take_out(self, name):
        if self.away:
            raise Away
        self.registry.take_out(name)

    def all(self):
        self.asked += 1
        if self.away:
            raise Away
        return self.registry.all()


def test_a_broker_that_could_not_say_so_tries_again_in_the_next_round(clock):
    registry = Flaky(LocalRegistry(clock))
    announcing = Announcing(registry, lambda: QUIET, clock)
    registry.away = True
    with pytest.raises(Away):
        announcing.run()
    announcing.withdraw()
    registry.away = False
    announcing.run()
    assert registry.all() == [QUIET]


def test_however_many_clients_ask_the_registry_is_asked_once_a_second(clock):
    registry = Flaky(LocalRegistry(clock))
    registry.put(QUIET)
    known = KnownBrokers(registry, clock)
    assert [list(known()) for _ in range(50)] == [[QUIET]] * 50
    assert registry.asked == 1
    registry.put(BUSY)
    clock.now += 1
    assert list(known()) == [QUIET, BUSY]


def test_while_redis_is_away_or_was_just_emptied_the_last_ones_are_told_for_a_while(clock):
    registry = Flaky(LocalRegistry(clock))
    known = KnownBrokers(registry, clock)
    assert list(known()) == []
    registry.put(QUIET)
    clock.now += 1
    assert list(known()) == [QUIET]
    registry.away = True
    clock.now += KEPT_S
    assert list(known()) == [QUIET]
    clock.now += 1
    assert list(known()) == []


def test_two_processes_see_one_registry(own: RedisServer):
    broker, web = link_to(own), link_to(own)
    SharedRegistry(broker).put(QUIET)
    assert SharedRegistry(web).all() == [QUIET]
    broker.close()
    web.close()
