from concurrent.futures import ThreadPoolExecutor

import pytest
from redis_server import RedisServer, link_to

from bridge.backplane import names
from bridge.backplane.buckets import LocalBuckets, SharedBuckets, counting_here

# So slow that no test is long enough for another token.
SLOW = 1 / 3600


@pytest.fixture
def counting(shared):
    if shared is None:
        return counting_here()
    return lambda kind, rate, burst: SharedBuckets(shared, kind, rate, burst)


def test_a_burst_is_let_through_and_then_it_is_said_how_long_to_wait(counting):
    buckets = counting("a", SLOW, 3)
    assert [buckets.take("alice") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert 3500 < buckets.take("alice") <= 3600
    assert buckets.take("bob") == 0.0, "each key for itself"


def test_what_was_refused_was_not_taken(counting):
    buckets = counting("a", SLOW, 1)
    assert buckets.take("alice") == 0.0
    waits = [buckets.take("alice") for _ in range(5)]
    assert max(waits) <= 3600


def test_what_is_given_back_can_be_taken_again_and_no_more_than_that(counting):
    buckets = counting("a", SLOW, 2)
    buckets.take("alice")
    buckets.take("alice")
    buckets.give_back("alice")
    assert buckets.take("alice") == 0.0
    assert buckets.take("alice") > 0
    for _ in range(5):
        buckets.give_back("bob")
    assert [buckets.take("bob") > 0 for _ in range(3)] == [False, False, True]


def test_tokens_come_back_with_time(counting):
    buckets = counting("a", 1000.0, 1)
    assert buckets.take("alice") == 0.0
    while buckets.take("alice") > 0:
        pass


def test_any_text_is_a_key(counting):
    buckets = counting("a", SLOW, 1)
    for key in ("", "\0", "\ud800", "{x}", "é" * 10_000):
        assert buckets.take(key) == 0.0
        assert buckets.take(key) > 0


def test_kinds_are_counted_apart(counting):
    assert counting("a", SLOW, 1).take("alice") == 0.0
    assert counting("b", SLOW, 1).take("alice") == 0.0


def test_processes_count_together(server):
    links = [link_to(server) for _ in range(4)]
    buckets = [SharedBuckets(link, "a", SLOW, 40) for link in links]
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda number: buckets[number % 4].take("alice"), range(200)))
    assert waits.count(0.0) == 40
    for link in links:
        link.close()


def test_a_key_goes_by_itself_when_its_bucket_is_full(server, link):
    SharedBuckets(link, "a", 2.0, 10).take("alice")
    left_ms = server.ask("PTTL", names.bucket("a", "alice"))
    assert 0 < left_ms <= 500
    SharedBuckets(link, "a", 2.0, 10).give_back("alice")
    assert server.ask("EXISTS", names.bucket("a", "alice")) == 0


def test_the_keys_do_not_say_who_it_is(server, link):
    SharedBuckets(link, "a", SLOW, 10).take("alice 192.0.2.1")
    (key,) = server.ask("KEYS", "*")
    assert key.startswith(b"pabal:rate:a:")
    assert b"alice" not in key
    assert b"192" not in key


def test_a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_a_full_bucket(server, link):
    """Redis's own: another server with another clock may have taken over."""
    buckets = SharedBuckets(link, "a", 10.0, 10)
    server.ask("SET", names.bucket("a", "alice"), "9000000000000000")
    assert buckets.take("alice") <= 0.1


def test_while_redis_is_away_this_process_goes_on_with_what_it_has_counted(own: RedisServer):
    link = link_to(own, timeout_s=0.1)
    buckets = SharedBuckets(link, "a", SLOW, 3)
    assert [buckets.take("alice") for _ in range(2)] == [0.0, 0.0]
    own.kill()
    assert buckets.take("alice") == 0.0
    assert buckets.take("alice") > 0
    link.close()


def test_a_redis_that_was_emptied_forgives_nobody_what_this_process_has_counted(server, link):
    buckets = SharedBuckets(link, "a", SLOW, 3)
    for _ in range(3):
        buckets.take("alice")
    server.ask("FLUSHALL")
    assert buckets.take("alice") > 0
    assert SharedBuckets(link, "a", SLOW, 3).take("alice") == 0.0, (
        "a process that has seen nothing starts afresh"
    )


def test_what_this_process_refuses_costs_no_call(link):
    buckets = SharedBuckets(link, "a", SLOW, 1, own=LocalBuckets(SLOW, 1))
    buckets.take("alice")
    calls = link.figures.calls.count
    for _ in range(100):
        assert buckets.take("alice") > 0
    assert link.figures.calls.count == calls
