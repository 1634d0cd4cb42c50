"""The client library and the terminal client against the real server, over real sockets."""

import io
import json
import zipfile

import pytest
from people import wait_for

import pabal_terminal as terminal
from pabal_client import LoginRefused, events

pytestmark = pytest.mark.functional

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("ws", [False, True])
def test_two_clients_talk_and_ask(open_client, ws):
    alice, bob = open_client("alice", ws=ws), open_client("bob", ws=ws)
    bob.wait_online(60)
    committed = alice.send(to="bob", text="hi", timeout=60)
    message = next(bob.messages(timeout=60))
    assert (message.from_, message.text, message.message_id) == ("alice", "hi", committed.message_id)
    assert [item.text for item in bob.history("alice", timeout=60).items] == ["hi"]
    assert bob.conversations(timeout=60).conversations[0].unread == 1
    bob.read("alice~bob", 1).wait(60)
    assert bob.conversations(timeout=60).conversations[0].unread == 0


def test_nothing_is_lost_doubled_or_reordered_when_the_server_is_killed_and_the_clients_are_closed(
    server, open_client
):
    alice, bob = open_client("alice"), open_client("bob")
    bob.wait_online(60)
    pending = [alice.send_nowait(to="bob", text=str(number)) for number in range(40)]
    pending[5].wait(60)
    got = [next(bob.messages(timeout=60)).text]
    server.kill()
    alice.close()
    alice = open_client("alice")
    for number in range(40, 60):
        alice.send_nowait(to="bob", text=str(number))
    bob.close()
    server.restart()
    alice.flush(120)
    bob = open_client("bob")
    bob.sync(60)
    got += [message.text for message in bob.messages(timeout=0.5)]
    assert got == [str(number) for number in range(60)]


def test_a_device_with_a_secret_may_send_only_and_a_wrong_secret_is_refused(rest, open_client):
    alice, bob = open_client("alice"), open_client("bob")
    alice.wait_online(60)
    rest.token = rest.log_in("alice", PASSWORD, "laptop").access_token
    secret = rest.add_device("sensor", PASSWORD, ["send"]).secret
    told = []
    sensor = open_client("alice", "sensor", password=secret, on_event=told.append, store_wait=60)
    assert sensor.send(to="bob", body={"celsius": 21.5}, timeout=60).message_id == 1
    assert next(bob.messages(timeout=60)).body == {"celsius": 21.5}
    # Told by a thread of its own, which a close would end with what it has not told yet.
    wait_for(lambda: any(isinstance(event, events.ReceivingRefused) for event in told), "the event")
    sensor.close()
    with pytest.raises(LoginRefused):
        open_client("alice", "sensor", password="wrong").wait_online(60)


def test_the_terminal_client_goes_the_whole_way(server, tmp_path):
    url = f"http://127.0.0.1:{server.http}"
    for user in ("alice", "bob"):
        terminal.login(url, user, PASSWORD, "laptop", sign_up=True, profile_path=tmp_path / user)
    for _ in range(2):
        terminal.send("bob", "hi", request_id="once", profile_path=tmp_path / "alice")
    terminal.send("bob", "there", profile_path=tmp_path / "alice")
    heard, past = io.StringIO(), io.StringIO()
    terminal.listen(count=2, profile_path=tmp_path / "bob", output=terminal.Output(heard, json=True))
    assert [json.loads(line)["text"] for line in heard.getvalue().splitlines()] == ["hi", "there"]
    terminal.history("alice", profile_path=tmp_path / "bob", output=terminal.Output(past))
    assert [line.split()[-1] for line in past.getvalue().splitlines()] == ["hi", "there"]
    bobs = {"profile_path": tmp_path / "bob"}
    assert terminal.entries.react("alice", 1, "👍", **bobs).message_id == 3
    conv = terminal.groups.create("Riders", ["alice"], **bobs).conv
    with pytest.raises(terminal.TerminalError) as caught:
        terminal.entries.edit("alice", 1, "mine now", **bobs)
    assert caught.value.code == "forbidden"
    listed = io.StringIO()
    terminal.account.conversations(output=terminal.Output(listed, json=True), **bobs)
    assert [json.loads(line)["conv"] for line in listed.getvalue().splitlines()] == ["alice~bob", conv]
    with pytest.raises(terminal.TerminalError) as caught:
        terminal.account.password("wrong", "a new password", **bobs)
    assert caught.value.code == "unauthorized"
    terminal.account.password(PASSWORD, "a new password", **bobs)
    terminal.account.export(tmp_path / "bob.zip", **bobs)
    with zipfile.ZipFile(tmp_path / "bob.zip") as archive:
        assert archive.testzip() is None
    assert terminal.account.security(output=terminal.Output(io.StringIO()), **bobs) >= 2
    changed = terminal.account.update(privacy={"last_seen": "nobody"}, output=terminal.Output(listed), **bobs)
    assert changed.privacy.last_seen == "nobody"
    terminal.account.delete("a new password", **bobs)
    assert not (tmp_path / "bob").exists()
