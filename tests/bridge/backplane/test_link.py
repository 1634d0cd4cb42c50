import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis_server import RedisServer, link_to, until

from bridge.backplane.address import RedisAddress
from bridge.backplane.link import Away, Link

QUICK = {"timeout_s": 0.1, "connect_s": 0.25}


def answers(link: Link) -> bool:
    try:
        return link.ask("PING") in {b"PONG", True}
    except Away:
        return False


def test_a_call_is_answered_and_counted(link):
    assert answers(link)
    assert (link.figures.up, link.figures.failures, link.figures.calls.count) == (1, 0, 1)


def test_nothing_is_connected_before_the_first_call(own):
    own.kill()
    link_to(own).close()


def test_a_redis_that_was_killed_is_away_and_answers_again_when_it_is_started(own):
    link = link_to(own, **QUICK)
    until(lambda: answers(link))
    own.kill()
    until(lambda: not answers(link))
    own.start()
    until(lambda: answers(link))
    link.close()


def test_a_redis_that_hangs_costs_one_call_its_timeout_and_the_others_nothing(own):
    link = link_to(own, **QUICK)
    until(lambda: answers(link))
    own.freeze()
    begun = time.monotonic()
    asked = 0
    while time.monotonic() - begun < 2.0:
        with pytest.raises(Away):
            link.ask("PING")
        asked += 1
        time.sleep(0.005)
    # 0.1 s each, after pauses of 0.05 s at least that double.
    assert link.figures.failures <= 7
    assert asked > 2 * link.figures.failures, "most were not asked at all"
    own.thaw()
    until(lambda: answers(link))
    link.close()


def test_many_threads_that_meet_a_hanging_redis_wait_no_longer_than_their_own_call(own):
    link = link_to(own, **QUICK)
    until(lambda: answers(link))
    own.freeze()

    def timed(_number):
        begun = time.monotonic()
        answers(link)
        return time.monotonic() - begun

    with ThreadPoolExecutor(48) as pool:
        took = sorted(pool.map(timed, range(480)))
    # A call waits for a place among the connections, to connect, and for an answer.
    assert took[-1] < 10.0
    assert took[240] < 0.5
    own.thaw()
    link.close()


def test_it_is_told_once_that_it_is_away_and_once_that_it_is_back(own, caplog):
    link = link_to(own, **QUICK)
    own.kill()
    with caplog.at_level(logging.WARNING, "pabal.redis"):
        until(lambda: not answers(link) and link.figures.failures >= 4)
        own.start()
        until(lambda: answers(link))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert told[1].endswith("answers again")
    link.close()


def test_what_it_says_holds_no_secret(own, caplog):
    own.kill()
    link = Link(RedisAddress.parse(own.url.replace("redis://", "redis://us:hunter2@")), **QUICK)
    with caplog.at_level(logging.DEBUG):
        until(lambda: not answers(link) and link.figures.failures >= 2)
    assert "hunter2" not in caplog.text
    link.close()


@pytest.mark.parametrize("refusal", ["replica", "memory", "password"])
def test_a_redis_that_refuses_is_one_that_is_away(own, refusal):
    link = link_to(own)
    assert link.ask("SET", "pabal:x", "1")
    if refusal == "replica":
        own.ask("REPLICAOF", "127.0.0.1", "1")
    elif refusal == "memory":
        own.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        own.ask("CONFIG", "SET", "maxmemory", "1")
    else:
        own.ask("CONFIG", "SET", "requirepass", "hunter2")
        link.close()
        link = link_to(own)
    with pytest.raises(Away):
        link.ask("SET", "pabal:x", "2")
    link.close()


def test_a_unix_socket_is_a_way_in(tmp_path):
    path = tmp_path / "s"
    server = RedisServer(tmp_path / "valkey", "--unixsocket", str(path)).start()
    link = Link(RedisAddress.parse(f"unix://{path}"), timeout_s=10)
    assert answers(link)
    link.close()
    server.close()


def test_a_numbered_database_is_used(server):
    link = Link(RedisAddress.parse(f"{server.url}/3"), timeout_s=10)
    link.ask("SET", "pabal:here", "1")
    assert server.ask("EXISTS", "pabal:here") == 0
    link.close()
