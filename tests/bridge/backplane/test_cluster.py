"""A cluster of two nodes, so that the keys lie on both."""

import pytest
from redis_server import RedisServer, free_port, until

from bridge.backplane.address import RedisAddress
from bridge.backplane.admission import look_at
from bridge.backplane.plane import RedisPlane
from bridge.backplane.registry import LiveBroker

HALF = 8192
BROKER = LiveBroker("a", "mqtt://a:1")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    made = []
    for number in range(2):
        options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        made.append(RedisServer(tmp_path_factory.mktemp(f"node{number}"), *options).start())
    first, second = made
    first.ask("CLUSTER", "ADDSLOTSRANGE", 0, HALF - 1)
    second.ask("CLUSTER", "ADDSLOTSRANGE", HALF, 2 * HALF - 1)
    second.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    bus = first._options[3]
    second.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
    until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in made))
    yield made
    for node in made:
        node.close()


@pytest.fixture
def plane(nodes):
    made = RedisPlane(RedisAddress.parse(nodes[0].cluster_url), timeout_s=10)
    yield made
    made.stop()


def test_a_cluster_can_be_used(nodes):
    found = look_at(RedisAddress.parse(nodes[1].cluster_url), patience_s=10)
    assert found.trouble is None
    assert found.product == "Valkey"


def test_without_the_word_cluster_in_the_url_it_is_told(nodes):
    # One of the nodes does not have the slot of the probe, and which one that is is not said anywhere.
    troubles = [look_at(RedisAddress.parse(node.url), patience_s=10).trouble for node in nodes]
    (trouble,) = [one for one in troubles if one is not None]
    assert trouble.lasting
    assert "cluster" in trouble.detail
    assert "redis+cluster://" in trouble.hint


def test_everything_works_over_both_nodes(nodes, plane):
    other, heard = RedisPlane(RedisAddress.parse(nodes[1].cluster_url), timeout_s=10), []
    other.hear(news=heard.append)
    until(lambda: heard == [None])
    plane.mirror.changed("alice", "online")
    plane.speak(1, lambda: BROKER)
    plane.bell.news(["alice"])
    until(lambda: {"alice"} in heard)
    until(lambda: list(other.brokers()) == [BROKER])
    until(lambda: other.states(["alice"]) == {"alice": "online"})
    for number in range(20):
        assert plane.counting("a", 1 / 3600, 1).take(f"u{number}") == 0.0
        assert other.counting("a", 1 / 3600, 1).take(f"u{number}") > 0
    assert all(node.ask("DBSIZE") > 0 for node in nodes)
    other.stop()
    assert plane.figures is not None
    assert plane.figures.failures == 0


def test_a_cluster_that_is_gone_is_one_that_is_away(tmp_path):
    node = RedisServer(tmp_path / "n", "--cluster-enabled", "yes", "--cluster-port", str(free_port())).start()
    node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 2 * HALF - 1)
    until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"))
    plane = RedisPlane(RedisAddress.parse(node.cluster_url))
    buckets = plane.counting("a", 1000.0, 1000)
    assert plane.figures is not None
    until(lambda: buckets.take("a") == 0 and plane.figures.up)
    node.kill()
    until(lambda: buckets.take("a") == 0 and not plane.figures.up)
    node.start()
    until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"))
    until(lambda: buckets.take("a") == 0 and plane.figures.up)
    plane.stop()
    node.close()


def test_a_user_who_may_do_what_the_page_says_is_enough_for_a_cluster(nodes):
    """docs/redis.md has these lines."""
    rights = (
        "on >secret ~pabal:* &pabal:* -@all +eval +get +set +del +exists +time +hget +hset +hdel +hmget +hgetall"
        " +pexpire +publish +subscribe +ping +info +client|setname +client|setinfo +select"
        " +cluster|slots +cluster|shards +command"
    )
    for node in nodes:
        node.ask("ACL", "SETUSER", "pabal", *rights.split())
    url = nodes[0].cluster_url.replace("://", "://pabal:secret@")
    assert look_at(RedisAddress.parse(url), patience_s=10).trouble is None
    plane, heard = RedisPlane(RedisAddress.parse(url), timeout_s=10), []
    plane.hear(news=heard.append)
    until(lambda: heard == [None])
    plane.speak(1, lambda: BROKER)
    plane.bell.news(["bob"])
    until(lambda: {"bob"} in heard)
    plane.stop()
    assert plane.figures is not None
    assert plane.figures.failures == 0
