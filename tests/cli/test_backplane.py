"""What `pabal` says at its start of the Redis that it was given."""

import logging

import pytest
from redis_server import RedisServer

from bridge.backplane.plane import NullPlane, RedisPlane
from cli import backplane
from cli.configuration import load
from cli.errors import CliError, SettingsError


@pytest.fixture
def valkey(tmp_path):
    server = RedisServer(tmp_path / "valkey").start()
    yield server
    server.close()


def settings(url):
    return load({"redis_url": url}).settings


def test_one_that_works_is_not_spoken_of(valkey, caplog):
    backplane.check(settings(valkey.url))
    assert caplog.text == ""


def test_without_a_redis_nothing_is_looked_at_and_everybody_is_alone():
    backplane.check(load({}).settings)
    with backplane.plane(load({}).settings) as plane:
        assert isinstance(plane, NullPlane)


def test_with_one_its_plane_is_opened_and_closed(valkey):
    with backplane.plane(settings(valkey.url)) as plane:
        assert isinstance(plane, RedisPlane)
        assert plane.counting("a", 1.0, 1).take("alice") == 0.0
        assert plane.figures.up == 1
    assert plane.counting("a", 1.0, 1).take("alice") == 0.0
    assert plane.figures.failures == 0, "it is closed, and not asked any more"


@pytest.mark.parametrize(
    ("told", "kind", "said"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), CliError, "is full and takes no writes"),
        (("ACL", "SETUSER", "default", "-eval"), CliError, "does not let this user"),
        (("REPLICAOF", "127.0.0.1", "1"), SettingsError, "is a replica"),
        (("CONFIG", "SET", "requirepass", "hunter2"), SettingsError, "wants a password"),
    ],
)
def test_one_that_refuses_stops_the_start_in_one_line(valkey, told, kind, said):
    valkey.ask(*told)
    with pytest.raises(kind) as refused:
        backplane.check(settings(valkey.url))
    assert type(refused.value) is kind
    assert said in refused.value.cause
    assert "\n" not in refused.value.cause


def test_a_wrong_password_is_not_repeated(valkey):
    valkey.ask("CONFIG", "SET", "requirepass", "hunter2")
    with pytest.raises(SettingsError, match="does not take this user and password") as refused:
        backplane.check(settings(valkey.url.replace("redis://", "redis://us:secret1@")))
    assert "secret1" not in refused.value.cause


def test_one_that_is_not_there_yet_is_told_of_and_waited_for(valkey, caplog):
    valkey.kill()
    with caplog.at_level(logging.WARNING):
        backplane.check(settings(valkey.url))
    (record,) = caplog.records
    assert "going on without it" in record.getMessage()
