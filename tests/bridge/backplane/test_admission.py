import socket
import threading

import pytest
from redis_server import RedisServer, until

from bridge.backplane.address import RedisAddress
from bridge.backplane.admission import Look, look_at
from bridge.backplane.plane import RedisPlane
from bridge.backplane.registry import LiveBroker


def look(url: str) -> Look:
    return look_at(RedisAddress.parse(url), patience_s=10)


def test_one_that_works_says_what_it_is(server):
    found = look(server.url)
    assert found.trouble is None
    assert found.product in {"Valkey", "Redis"}
    assert found.version.split(".")[0].isdecimal()
    assert (found.policy, found.max_bytes, found.doubts) == ("noeviction", 0, None)
    assert found.answered_s > 0
    assert server.ask("DBSIZE") == 0, "nothing is left of it"


def test_one_that_will_refuse_writes_when_it_is_full_is_warned_of(own):
    own.ask("CONFIG", "SET", "maxmemory", "100mb")
    doubts = look(own.url).doubts
    assert doubts is not None
    assert "noeviction" in doubts[0]
    own.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    assert look(own.url).doubts is None


def test_an_old_version_is_warned_of():
    assert Look(None, "Redis", "5.0.14").doubts is not None
    assert Look(None, "Redis", "6.2.0").doubts is None
    assert Look(None).doubts is None


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (("CONFIG", "SET", "requirepass", "hunter2"), "wants a password"),
        (("REPLICAOF", "127.0.0.1", "1"), "replica"),
        (("CONFIG", "SET", "maxmemory", "1"), "full"),
        (("ACL", "SETUSER", "default", "resetchannels"), "does not let this user"),
        (("ACL", "SETUSER", "default", "-eval"), "does not let this user"),
        (("ACL", "SETUSER", "default", "resetkeys", "~other:*"), "does not let this user"),
    ],
)
def test_one_that_refuses_is_told_in_one_line(own, setting, said):
    assert look(own.url).trouble is None
    own.ask(*setting)
    trouble = look(own.url).trouble
    assert trouble is not None
    assert trouble.lasting
    assert said in trouble.detail
    assert "\n" not in trouble.detail + trouble.hint


def test_one_that_cannot_save_is_told_in_one_line(tmp_path):
    server = RedisServer(tmp_path / "valkey", "--save", "1 1").start()
    server.data.rmdir()
    server.ask("SET", "x", "1")
    until(lambda: look(server.url).trouble is not None)
    trouble = look(server.url).trouble
    assert trouble is not None
    assert "save" in trouble.detail
    assert trouble.lasting
    server.close()


@pytest.mark.parametrize("given", [":wrong@", "nobody:hunter2@"])
def test_a_wrong_password_is_told_without_repeating_it(own, given):
    own.ask("CONFIG", "SET", "requirepass", "hunter2")
    good = look(own.url.replace("redis://", "redis://:hunter2@"))
    assert good.trouble is None
    trouble = look(own.url.replace("redis://", f"redis://{given}")).trouble
    assert trouble is not None
    assert trouble.lasting
    assert "user and password" in trouble.detail
    assert "wrong" not in trouble.detail
    assert "hunter2" not in trouble.detail + trouble.hint


def test_a_password_where_none_is_set_is_told(own):
    trouble = look(own.url.replace("redis://", "redis://us:hunter2@")).trouble
    assert trouble is not None
    assert trouble.lasting


def test_a_user_who_may_do_what_the_page_says_is_enough(own):
    """docs/redis.md has this line."""
    own.ask(
        *["ACL", "SETUSER", "pabal", "on", ">secret", "~pabal:*", "&pabal:*", "-@all"],
        *[
            "+eval",
            "+get",
            "+set",
            "+del",
            "+exists",
            "+time",
            "+hget",
            "+hset",
            "+hdel",
            "+hmget",
            "+hgetall",
            "+pexpire",
        ],
        *["+publish", "+subscribe", "+ping", "+info", "+client|setname", "+client|setinfo", "+select"],
    )
    url = own.url.replace("redis://", "redis://pabal:secret@")
    found = look(url)
    assert found.trouble is None
    assert found.version
    plane, heard = RedisPlane(RedisAddress.parse(url), timeout_s=10), []
    plane.hear(news=heard.append)
    until(lambda: heard == [None])
    plane.mirror.changed("alice", "online")
    plane.speak(1, lambda: LiveBroker("a", "mqtt://a:1"))
    plane.bell.news(["alice"])
    until(lambda: {"alice"} in heard)
    until(plane.brokers)
    until(lambda: plane.states(["alice"]) == {"alice": "online"})
    buckets = plane.counting("a", 1 / 3600, 1)
    assert buckets.take("alice") == 0.0
    assert plane.counting("a", 1 / 3600, 1).take("alice") > 0
    buckets.give_back("alice")
    plane.stop()
    assert plane.figures.failures == 0


@pytest.mark.parametrize(
    ("said", "lasting"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True),
        (b"-LOADING Redis is loading the dataset in memory\r\n" * 8, False),
        (b"", False),
    ],
)
def test_what_is_no_redis_is_told_and_what_may_become_one_is_waited_for(said, lasting):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        trouble = look(f"redis://127.0.0.1:{listening.getsockname()[1]}").trouble
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert trouble is not None
    assert trouble.lasting is lasting


def test_one_that_is_not_there_may_come(own):
    own.kill()
    trouble = look(own.url).trouble
    assert trouble is not None
    assert not trouble.lasting
    assert "does not answer" in trouble.detail


def test_one_that_hangs_is_given_up_in_time(own):
    own.freeze()
    trouble = look_at(RedisAddress.parse(own.url), patience_s=0.2).trouble
    assert trouble is not None
    assert not trouble.lasting
    own.thaw()


def test_a_number_that_it_does_not_have_is_told(own):
    trouble = look(f"{own.url}/99").trouble
    assert trouble is not None
    assert trouble.lasting
    assert "number" in trouble.detail


def test_one_that_is_no_cluster_is_told(own):
    trouble = look(own.cluster_url).trouble
    assert trouble is not None
    assert trouble.lasting
    assert "no cluster" in trouble.detail
