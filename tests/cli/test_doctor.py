import json
import os
import socket

import pytest
from fake_mqtt import FakeMqttBroker
from redis_server import RedisServer

from cli import sockets
from cli.address import Address
from cli.folder import Lock

FREE = ["--mqtt=127.0.0.1:0", "--ws=127.0.0.1:0", "--http=127.0.0.1:0"]


@pytest.fixture
def doctor(pabal):
    def look(*arguments):
        done = pabal("doctor", "--json", *FREE, *arguments)
        report = json.loads(done.out)
        assert report["ok"] is (done.code == 0)
        return {check["check"]: check for check in report["checks"]}

    return look


def state(report, name):
    return report[name]["state"]


def test_before_the_first_start_everything_is_well_and_nothing_is_made(doctor, tmp_path):
    report = doctor()
    assert {check["state"] for check in report.values()} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_after_the_first_start_everything_is_well(pabal, doctor):
    pabal("db", "upgrade")
    pabal("keys", "rotate")
    assert {check["state"] for check in doctor().values()} == {"ok"}


SECRET = "--service-secret=0123456789abcdef"


@pytest.fixture
def of_role(pabal):
    """`of_role("webapi", *arguments)`: the checks that failed, by name, and those that did not."""

    def look(role, *arguments):
        ports = ("--metrics=127.0.0.1:0", "--web-metrics=127.0.0.1:0")
        report = json.loads(pabal("doctor", "--json", f"--role={role}", *FREE, *ports, *arguments).out)
        failed = {check["check"]: check["found"] for check in report["checks"] if check["state"] == "fail"}
        return failed, {check["check"] for check in report["checks"] if check["state"] == "ok"}

    return look


def test_each_role_has_the_checks_of_what_it_opens_and_needs(of_role):
    failed, good = of_role("broker", SECRET)
    assert (failed, {"mqtt port", "ws port", "metrics port", "service secret"} <= good) == ({}, True)
    assert "http port" not in good
    assert list(of_role("bridge")[0]) == ["mqtt broker"]
    assert "no broker answers there" in of_role("bridge", "--mqtt-url=mqtt://127.0.0.1:1")[0]["mqtt broker"]
    assert list(of_role("push")[0]) == ["database"]
    failed, good = of_role("webapi")
    assert list(failed) == ["service secret", "database", "keys", "relay"]
    assert {"http port", "web_metrics port"} <= good
    assert not {"mqtt port", "ws port"} & good


def test_a_web_process_tries_whether_its_broker_lets_it_in(pabal, of_role):
    pabal("db", "upgrade")
    pabal("keys", "rotate")
    broker = FakeMqttBroker(lambda _payload: [], "down", "0123456789abcdef")
    try:
        at = f"--relay=mqtt://127.0.0.1:{broker.port}"
        failed, good = of_role("webapi", SECRET, at)
        assert (failed, "relay" in good) == ({}, True)
        failed, _good = of_role("webapi", "--service-secret=fedcba9876543210", at)
        assert "refused the webapi's credential" in failed["relay"]
    finally:
        broker.close()
    failed, _good = of_role("webapi", SECRET, at)
    assert "the broker cannot be reached" in failed["relay"]


def test_a_role_that_is_none_is_refused(pabal):
    done = pabal("doctor", "--role=web")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --role = 'web' is not right; expected one of serve, broker, webapi")


def test_each_line_for_people_says_what_to_do(pabal):
    done = pabal("doctor", "--mqtt", "nonsense")
    assert done.code == 1
    assert done.out.startswith("fail  configuration: mqtt = 'nonsense'")
    assert "      -> " in done.out
    assert done.err == "error: 1 of 1 checks failed\n"
    assert pabal("doctor", *FREE).code == 0


def test_an_unknown_variable_is_a_warning(doctor, monkeypatch):
    monkeypatch.setenv("PABAL_HTPP", "x")
    report = doctor()
    assert state(report, "configuration") == "warn"
    assert "did you mean PABAL_HTTP?" in report["configuration"]["found"]


def test_a_data_folder_that_cannot_be_used_fails(doctor, tmp_path):
    (tmp_path / "file").touch()
    assert state(doctor("--data", "file"), "data folder") == "fail"


def test_a_data_folder_open_to_others_is_a_warning(doctor, tmp_path):
    (tmp_path / "pabal-data").mkdir(mode=0o755)
    report = doctor()
    assert state(report, "data folder") == "warn"
    assert report["data folder"]["advice"] == "chmod 700 pabal-data"


def test_little_space_is_a_warning(doctor, monkeypatch):
    monkeypatch.setattr("cli.diagnosis._MIN_FREE_BYTES", 1 << 62)
    assert state(doctor(), "disk space") == "warn"


def test_a_file_that_is_no_database_fails(doctor, tmp_path):
    (tmp_path / "pabal-data").mkdir(mode=0o700)
    (tmp_path / "pabal-data" / "pabal.sqlite3").write_bytes(b"no database" * 1000)
    assert state(doctor(), "database") == "fail"


def test_an_empty_database_only_wants_an_upgrade(doctor, tmp_path):
    (tmp_path / "pabal-data").mkdir(mode=0o700)
    (tmp_path / "pabal-data" / "pabal.sqlite3").touch()
    assert state(doctor(), "database") == "warn"


def test_a_database_that_cannot_be_opened_fails(doctor, tmp_path):
    (tmp_path / "pabal-data" / "pabal.sqlite3").mkdir(parents=True)
    assert state(doctor(), "database") == "fail"


def test_keys_that_others_can_read_fail(pabal, doctor, tmp_path):
    pabal("db", "upgrade")
    pabal("keys", "rotate")
    (tmp_path / "pabal-data" / "keys.json").chmod(0o604)
    report = doctor()
    assert state(report, "keys") == "fail"
    assert report["keys"]["advice"].startswith("chmod 600")


@pytest.mark.parametrize("now", [0, 1.7e9, 5e9])
def test_a_clock_that_cannot_be_right_fails(doctor, monkeypatch, now):
    monkeypatch.setattr("cli.times.now_s", lambda: now)
    assert state(doctor(), "clock") == "fail"


def test_a_port_of_somebody_else_fails(doctor):
    with sockets.listen("http", Address("127.0.0.1", 0)) as taken:
        report = doctor(f"--http={sockets.address_of(taken)}")
    assert state(report, "http port") == "fail"
    assert "the port is in use" in report["http port"]["found"]


def test_while_we_serve_the_ports_are_ours_and_http_has_to_answer(pabal, doctor, tmp_path, monkeypatch):
    pabal("db", "upgrade")
    monkeypatch.setattr("cli.probe._ANSWER_S", 0.2)
    with (
        Lock(tmp_path / "pabal-data" / "pabal.lock"),
        sockets.listen("mqtt", Address("127.0.0.1", 0)) as mqtt,
        sockets.listen("http", Address("127.0.0.1", 0)) as http,
    ):
        report = doctor(f"--mqtt={sockets.address_of(mqtt)}", f"--http={sockets.address_of(http)}")
    assert state(report, "mqtt port") == "ok"
    assert str(os.getpid()) in report["mqtt port"]["found"]
    assert state(report, "http port") == "fail"
    assert "does not answer" in report["http port"]["found"]


@pytest.mark.parametrize(("status", "verdict"), [(200, "ok"), (503, "fail")])
def test_what_readyz_says_decides(pabal, doctor, tmp_path, monkeypatch, status, verdict):
    pabal("db", "upgrade")

    async def answer(_address, path):
        assert path == "/readyz"
        return status

    monkeypatch.setattr("cli.probe.get_status", answer)
    with Lock(tmp_path / "pabal-data" / "pabal.lock"), socket.create_server(("127.0.0.1", 0)) as http:
        report = doctor(f"--http=127.0.0.1:{http.getsockname()[1]}")
    assert state(report, "http port") == verdict


def test_listening_to_the_world_without_tls_is_a_warning(doctor):
    report = doctor("--mqtt", "0.0.0.0:0")
    assert state(report, "mqtt exposure") == "warn"
    assert "ws exposure" not in report


def test_a_missing_uvloop_is_a_warning(doctor, monkeypatch):
    monkeypatch.setattr("cli.diagnosis.importlib.util.find_spec", lambda _name: None)
    assert state(doctor(), "event loop") == "warn"


@pytest.fixture
def valkey(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("valkey")).start()
    yield server
    server.close()


def test_without_redis_nothing_is_said_of_it_and_with_it_what_it_is(doctor, valkey):
    assert "redis" not in doctor()
    found = doctor("--redis-url", valkey.url)["redis"]
    assert found["state"] == "ok"
    assert "takes writes (Valkey " in found["found"]
    assert "maxmemory-policy noeviction" in found["found"]


def test_a_redis_that_will_be_full_is_warned_of_and_one_that_refuses_or_is_away_fails(doctor, valkey):
    valkey.ask("CONFIG", "SET", "maxmemory", "100mb")
    found = doctor("--redis-url", valkey.url)["redis"]
    assert (found["state"], "volatile-ttl" in found["advice"]) == ("warn", True)
    valkey.ask("CONFIG", "SET", "requirepass", "hunter2")
    report = doctor("--redis-url", valkey.url.replace("redis://", "redis://us:secret1@"))
    assert "does not take this user and password" in report["redis"]["found"]
    assert (state(report, "redis"), "secret1" in json.dumps(report)) == ("fail", False)
    valkey.kill()
    found = doctor("--redis-url", valkey.url)["redis"]
    assert (found["state"], "does not answer" in found["found"]) == ("fail", True)
