"""Told to stop while the database is away, every role ends by itself, with exit code 0, and says what it could not do."""

import contextlib
import time

import pytest
from faultlab.ports import port_of, reserved
from mosquitto import MISSING, PROGRAM, Mosquitto
from people import wait_for
from postgres_proxy import PostgresProxy
from role_process import RoleProcess

from cli.roles.running import END_S

pytestmark = [pytest.mark.functional, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]

# What docker/compose.yaml gives them before they are killed.
GRACE_S = 30


@pytest.fixture
def proxy(postgres):
    made = PostgresProxy(postgres.folder)
    yield made
    made.close()


@pytest.fixture
def mosquitto(tmp_path):
    made = Mosquitto(tmp_path).start()
    yield made
    made.close()


@pytest.fixture
def roles(postgres, proxy, mosquitto, tmp_path):
    """One of each, ready: a broker, a web process and a push worker on one database, a bridge on another."""
    urls = [postgres.fresh() for _ in range(2)]
    ours, its = (proxy.url(url.split("/")[3].partition("?")[0]) for url in urls)
    keys = ("--keys-file", str(tmp_path / "keys" / "keys.json"))
    with contextlib.ExitStack() as stack:
        for url in urls:
            stack.callback(postgres.drop, url)
        mqtt = f"127.0.0.1:{port_of(stack.enter_context(reserved()))}"

        def start(role, url, *arguments):
            where = ("--database-url", url, "--data", str(tmp_path / role))
            made = RoleProcess(tmp_path / f"{role}.log", role, *arguments, *where)
            stack.callback(made.close)
            return made

        broker = start(
            "broker", ours, "--mqtt", mqtt, "--ws=127.0.0.1:0", "--metrics=off", *keys
        ).await_ready()
        others = [
            start(
                "webapi", ours, "--relay", f"mqtt://{mqtt}", "--http=127.0.0.1:0", "--web-metrics=off", *keys
            ),
            start("push", ours, "--metrics=127.0.0.1:0"),
            start("bridge", its, "--mqtt-url", mosquitto.url, "--metrics=127.0.0.1:0"),
        ]
        yield [broker, *(role.await_ready() for role in others)]


@pytest.mark.parametrize("away", ["gone", "silent"])
def test_told_to_stop_without_its_database_a_role_ends_in_time_with_exit_code_0(proxy, roles, away):
    if away == "gone":
        proxy.vanish()
    else:
        # Nothing says that it is gone: whoever asks waits for an answer.
        proxy.flowing.clear()
    began, took = time.monotonic(), {}
    for role in roles:
        role.process.terminate()

    def all_ended():
        for role in roles:
            if role.role not in took and role.process.poll() is not None:
                took[role.role] = time.monotonic() - began
        return len(took) == len(roles)

    wait_for(all_ended, "all to end", GRACE_S)
    assert [role.process.poll() for role in roles] == [0, 0, 0, 0]
    for role in roles:
        log = role.log.read_text()
        assert "Traceback" not in log
        # Only who waits for an answer leaves something behind, and says so once.
        said = log.count("did not answer for 25 s and is left behind")
        assert said == (took[role.role] >= END_S), log
        assert not said or away == "silent"
