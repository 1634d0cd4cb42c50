"""The server with a real Redis beside it, which is killed, emptied, stopped, and refuses."""

import subprocess
import sys

import pytest
from redis_server import RedisServer


@pytest.fixture
def valkey(tmp_path):
    server = RedisServer(tmp_path / "valkey").start()
    yield server
    server.stop()


@pytest.mark.functional
def test_a_redis_that_will_not_do_stops_the_start_before_anything_is_begun(tmp_path, valkey):
    valkey.ask("CONFIG", "SET", "maxmemory", "1")
    where = ("--data", str(tmp_path / "data"), "--redis-url", valkey.url, "--metrics", "off")
    listening = ("--mqtt", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--http", "127.0.0.1:0")
    ended = subprocess.run(
        [sys.executable, "-m", "cli", "serve", *where, *listening],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is full and takes no writes" in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert not (tmp_path / "data").exists()
