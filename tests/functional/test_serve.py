"""`pabal serve` as a process: how it starts, what stops its start, and how it stops."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from people import Person, Plain, wait_for

pytestmark = pytest.mark.functional

ANYWHERE = ["--mqtt=127.0.0.1:0", "--ws=127.0.0.1:0", "--http=127.0.0.1:0"]


def pabal(*arguments, stdin="", **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PABAL_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**clean, **environment},
        timeout=150,
        check=False,
    )


def refusal(*arguments, code, hint="", **environment):
    """The one line with which a start is refused, and the hint behind it where there is to be one."""
    done = pabal("serve", *arguments, **environment)
    assert done.stdout == ""
    assert done.returncode == code, done.stderr
    assert re.fullmatch(rf"error: .+\n{hint}", done.stderr), done.stderr
    return done.stderr


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def family(pid):
    """This process and all that come from it."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def alive(pid):
    """A zombie that nobody has waited for yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_serves_and_stops_with_0_leaving_nothing_behind(start_server, number):
    server = start_server()
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 200
    members = family(server.pid)
    assert len(members) >= 3
    assert server.stop(number) == 0
    assert len(server.stdout) == 1
    # A process that was killed at last is gone a moment after its server.
    wait_for(lambda: not any(alive(pid) for pid in members), "the last of its processes to go")
    assert (server.data / "pabal.lock").read_text() == ""
    assert "Traceback" not in server.log.read_text()


def test_after_kill_9_nothing_is_left_and_it_starts_again_on_the_same_ports(server):
    members = family(server.pid)
    server.kill()
    wait_for(lambda: not any(alive(pid) for pid in members), "the web process to end with its server")
    ports = (server.mqtt, server.ws, server.http)
    server.start()
    assert (server.mqtt, server.ws, server.http) == ports
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 200


def test_a_web_process_that_dies_is_started_again(server):
    [web] = children(server.pid)
    members = family(web)
    os.kill(web, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in members), "the old workers to go")
    url = f"http://127.0.0.1:{server.http}"
    # Whoever asks meanwhile waits in the socket's queue. The new process serves, and links up with the relay.
    assert httpx2.get(f"{url}/healthz", timeout=60).status_code == 200
    wait_for(
        lambda: httpx2.get(f"{url}/readyz", timeout=60).status_code == 200, "the relay to be linked again"
    )
    assert children(server.pid) != [web]
    assert "starting it again" in server.log.read_text()
    assert server.stop() == 0


def test_that_rate_limits_are_off_is_said_in_the_log(start_server):
    assert "rate limits are off" in start_server(environment={"PABAL_RATE_LIMITS": "off"}).log.read_text()
    assert "rate limits are off" not in start_server().log.read_text()


def test_the_task_of_the_web_process_is_in_nobodys_arguments_or_environment(server):
    [web] = children(server.pid)
    arguments = Path(f"/proc/{web}/cmdline").read_bytes().split(b"\0")[1:-1]
    assert arguments == [b"-P", b"-m", b"cli.webapi_process"]
    ours, theirs = (Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in (server.pid, web))
    assert set(theirs) <= set(ours)


def test_a_log_in_json_is_json_line_by_line(start_server):
    server = start_server("--log-format", "json", "--rate-limits", "off")
    server.stop()
    events = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {"event", "level", "logger", "timestamp"} <= set(events[0])
    assert events[-1]["event"] == "stopped"


def test_a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on(server):
    said = refusal("--data", str(server.data), *ANYWHERE, code=1)
    assert f"a server with pid {server.pid} already uses {server.data}" in said
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 200


def test_a_second_server_on_the_same_database_by_another_folder_is_refused(start_server, tmp_path):
    url = f"sqlite:///{tmp_path}/elsewhere/chat.sqlite3"
    first = start_server("--database-url", url)
    said = refusal("--data", str(tmp_path / "other"), "--database-url", url, *ANYWHERE, code=1)
    assert f"a server with pid {first.pid} already uses {tmp_path}/elsewhere" in said


@pytest.mark.parametrize("link", [False, True])
def test_the_database_of_a_servers_own_folder_cannot_be_served_from_another_one(server, tmp_path, link):
    file = server.data / "pabal.sqlite3"
    if link:
        (tmp_path / "link.sqlite3").symlink_to(file)
        file = tmp_path / "link.sqlite3"
    url = f"sqlite:///{file}"
    said = refusal("--data", str(tmp_path / "other"), "--database-url", url, *ANYWHERE, code=1)
    assert f"a server with pid {server.pid} already uses {server.data}" in said
    assert httpx2.get(f"http://127.0.0.1:{server.http}/readyz", timeout=60).status_code == 200


@pytest.mark.parametrize("name", ["mqtt", "ws", "http"])
def test_a_port_in_use_is_named_and_then_nothing_listens(tmp_path, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        hint = rf"hint: stop what listens there, or choose another: --{name} 127\.0\.0\.1:\d+\n"
        said = refusal("--data", str(tmp_path / "data"), *ANYWHERE, f"--{name}={address}", code=1, hint=hint)
    assert said.startswith(f"error: {name} = {address} cannot be listened on: the port is in use\n")
    assert (tmp_path / "data" / "pabal.lock").read_text() == ""


def test_a_data_folder_that_cannot_be_made_written_or_is_none_is_named(tmp_path):
    (tmp_path / "file").touch()
    for data in (f"{tmp_path}/file", f"{tmp_path}/file/below", "/proc/pabal"):
        assert refusal("--data", data, *ANYWHERE, code=2).startswith(f"error: data = '{data}' ")


def test_a_database_from_a_newer_version_is_refused_and_untouched(tmp_path):
    data = tmp_path / "data"
    assert pabal("db", "upgrade", "--data", str(data)).returncode == 0
    with closing(sqlite3.connect(data / "pabal.sqlite3")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (data / "pabal.sqlite3").read_bytes()
    said = refusal("--data", str(data), *ANYWHERE, code=1)
    assert "has schema 9999, which is newer than this version's" in said
    assert (data / "pabal.sqlite3").read_bytes() == before


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    data = tmp_path / "data"
    added = pabal("user", "add", "alice", "--password-stdin", "--data", str(data), stdin="correct horse\n")
    assert added.returncode == 0
    (data / "keys.json").chmod(0o644)
    assert "can be read by other users" in refusal("--data", str(data), *ANYWHERE, code=1)


def test_a_wrong_setting_is_refused_wherever_it_stands(tmp_path):
    file = tmp_path / "pabal.toml"
    file.write_text("htpp = '127.0.0.1:0'\n")
    data = ["--data", str(tmp_path / "data")]
    assert "did you mean http?" in refusal(*data, "--config", str(file), code=2)
    assert "did you mean http?" in refusal(*data, code=2, PABAL_CONFIG=str(file))
    assert refusal(*data, "--http", "80", code=2).startswith(
        "error: http = '80' (flag --http) is not right; "
    )
    assert "environment PABAL_HTTP" in refusal(*data, code=2, PABAL_HTTP="80")
    assert "sqlite:///PATH or postgresql" in refusal(*data, "--database-url", "mysql://db/pabal", code=2)
    assert not (tmp_path / "data").exists()


def test_a_plugin_that_does_not_load_is_refused(tmp_path):
    said = refusal("--data", str(tmp_path / "d"), *ANYWHERE, "--plugins", '{"acme.Missing": {}}', code=2)
    assert "acme.Missing" in said


def test_a_variable_is_taken_and_an_unknown_one_only_warned_about(start_server):
    server = start_server(environment={"PABAL_RATE_LIMIT": "off", "PABAL_SMALL_GROUP_LIMIT": "2"})
    assert "warning: PABAL_RATE_LIMIT is set" in server.log.read_text()
    alice, bob, carol = (Person(server.api, user) for user in ("alice", "bob", "carol"))
    for members, mode in ((["bob"], "small"), (["bob", "carol"], "large")):
        asked = {"op": "group.create", "id": mode, "name": "A group", "members": members}
        assert alice.http.post("/requests", json=asked).json()["ok"]
        assert alice.inbox()[-1]["mode"] == mode
    for person in (alice, bob, carol):
        person.close()


def test_what_the_command_line_changes_a_running_server_acts_on(server):
    bob = Person(server.api, "bob")
    down = "pabal/v1/down/bob/phone"
    client = Plain(server.mqtt, "bob:phone", password=bob.session["access_token"]).connect()
    try:
        client.subscribe(down)
        assert pabal("user", "disable", "bob", "--data", str(server.data)).returncode == 0
        wait_for(client.closed.is_set, "the connection to be closed")
        assert [said["type"] for said in client.on(down)] == ["kicked"]
        assert bob.http.get("/me").status_code == 401
    finally:
        client.close()
        bob.close()


def test_beside_a_running_server_doctor_check_and_backup_work(server, tmp_path):
    alice = Person(server.api, "alice")
    assert alice.send("alice", "a note").status_code == 201
    alice.close()
    data = ["--data", str(server.data)]
    at = [f"--{name}=127.0.0.1:{getattr(server, name)}" for name in ("mqtt", "ws", "http")]
    report = pabal("doctor", "--json", *data, *at)
    assert report.returncode == 0, report.stdout
    assert f"served by us (pid {server.pid}), ready" in report.stdout
    assert pabal("db", "check", *data).returncode == 0
    copy = tmp_path / "copy.sqlite3"
    assert pabal("db", "backup", str(copy), *data).returncode == 0
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT text FROM direct_message").fetchall() == [("a note",)]
