import io
import json
import threading
import time

import pytest
from fake_chat_server import FakeServer
from fake_mqtt_broker import FakeBroker
from fake_rest_server import FakeRest

import pabal_client.live
import pabal_terminal as terminal
from pabal_client.updates import Conversation, Message, Snapshot, Update
from pabal_terminal import Output, TerminalError
from pabal_terminal.output import clean
from pabal_terminal.profile import ProfileFile, default_path


@pytest.fixture
def broker():
    with FakeBroker(FakeServer()) as broker:
        yield broker


@pytest.fixture
def rest(broker):
    with FakeRest(broker.server, {"tcp": f"127.0.0.1:{broker.port}"}) as rest:
        rest.passwords = {"alice": "pw", "bob": "pw"}
        yield rest


@pytest.fixture(autouse=True)
def profile_path(tmp_path, monkeypatch):
    path = tmp_path / "config" / "profile.json"
    monkeypatch.setenv("PABAL_PROFILE", str(path))
    return path


@pytest.fixture
def alice(rest):
    return terminal.login(rest.url, "alice", "pw", "laptop")


def lines(out):
    return out.stream.getvalue().splitlines()


def until(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def text_out(**options):
    return Output(io.StringIO(), **options)


def test_a_login_is_kept_in_a_file_that_only_its_owner_can_read(rest, profile_path):
    out = text_out()
    profile = terminal.login(rest.url, "alice", "pw", "laptop", output=out)
    assert profile_path.stat().st_mode & 0o777 == 0o600
    assert ProfileFile().read() == profile
    assert profile.mqtt.startswith("mqtt://127.0.0.1:")
    assert "logged in as alice on laptop" in lines(out)[0]
    assert "access1" not in out.stream.getvalue()


def test_a_login_may_sign_up_first_and_names_the_device_after_the_machine(rest):
    out = text_out(json=True)
    profile = terminal.login(rest.url.removeprefix("http://"), "carol", "pw2", sign_up=True, output=out)
    assert rest.passwords["carol"] == "pw2"
    assert profile.device.startswith("cli-")
    assert json.loads(lines(out)[0]) == {"user": "carol", "device": profile.device, "server": rest.url}


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        ({"password": "wrong"}, "unauthorized", "--sign-up"),
        ({"sign_up": True}, "conflict", "taken"),
        ({"server_url": "ftp://x"}, "bad_request", "http://"),
        ({"device": "no such device!"}, "bad_request", None),
        ({"user": "No User"}, "bad_request", None),
        ({"server_url": "http://127.0.0.1:1"}, None, "running"),
    ],
)
def test_a_login_that_fails_says_why_and_leaves_no_file(rest, profile_path, options, code, hint):
    good = {"server_url": rest.url, "user": "alice", "password": "pw", "device": "laptop"}
    with pytest.raises(TerminalError) as caught:
        terminal.login(**{**good, **options})
    assert caught.value.code == code
    assert hint is None or hint in caught.value.hint
    assert not profile_path.exists()
    terminal.login(**good)
    assert profile_path.exists()


@pytest.mark.usefixtures("rest")
def test_every_command_needs_a_login():
    for command in (lambda: terminal.send("bob", "x"), terminal.listen, lambda: terminal.history("bob")):
        with pytest.raises(TerminalError, match="not logged in") as caught:
            command()
        assert "pabal login" in caught.value.hint


def test_a_profile_that_cannot_be_used_is_said(alice, profile_path, tmp_path):
    profile_path.write_text("{}")
    with pytest.raises(TerminalError, match="is no profile"):
        terminal.history("bob")
    with pytest.raises(TerminalError, match="cannot read"):
        terminal.history("bob", profile_path=tmp_path)
    with pytest.raises(TerminalError, match="cannot write"):
        terminal.login(alice.server, "alice", "pw", "laptop", profile_path=profile_path / "below")


def test_the_place_of_the_profile(monkeypatch, tmp_path):
    monkeypatch.delenv("PABAL_PROFILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "pabal" / "profile.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".config" / "pabal" / "profile.json"


@pytest.mark.usefixtures("alice")
def test_a_message_is_sent_and_said_to_be(rest):
    out = text_out()
    assert terminal.send("bob", "hi", output=out).message_id == 1
    assert lines(out) == ["sent: alice~bob #1"]
    assert rest.server.log["alice~bob"][0]["text"] == "hi"


@pytest.mark.usefixtures("alice")
def test_the_same_id_is_stored_once(rest):
    out = text_out(json=True)
    for _ in range(2):
        terminal.send("@bob", "hi", request_id="mine", output=out)
    first, second = map(json.loads, lines(out))
    assert (first["dup"], second["dup"]) == (False, True)
    assert first["id"] == second["id"] == "mine"
    assert len(rest.server.log["alice~bob"]) == 1
    out = text_out()
    terminal.send("alice~bob", "hi", request_id="mine", output=out)
    assert "it was there already" in lines(out)[0]


@pytest.mark.usefixtures("alice")
def test_a_send_is_tried_again_with_the_same_id_until_its_time_is_up(rest):
    rest.failures = [rest.problem(503, "unavailable", "busy")]
    assert terminal.send("bob", "hi").message_id == 1
    rest.failures = [rest.problem(429, "rate_limited", "slow down", **{"Retry-After": "60"})]
    with pytest.raises(TerminalError, match="slow down") as caught:
        terminal.send("bob", "more", timeout=50)
    assert "--id" in caught.value.hint
    assert caught.value.code == "rate_limited"


@pytest.mark.usefixtures("alice")
def test_a_send_that_is_refused_says_so(rest):
    rest.failures = [rest.problem(403, "blocked", "not wanted")]
    with pytest.raises(TerminalError, match="not wanted") as caught:
        terminal.send("bob", "hi")
    assert caught.value.code == "blocked"
    with pytest.raises(TerminalError, match="2 to 32"):
        terminal.send("No User", "hi")
    with pytest.raises(TerminalError, match="64"):
        terminal.send("bob", "hi", request_id="x" * 65)


@pytest.mark.usefixtures("alice", "profile_path")
def test_a_token_that_ended_is_refreshed_and_the_new_pair_is_kept(rest):
    rest.sessions.clear()
    terminal.send("bob", "one")
    assert ProfileFile().read().access_token == "access2"
    rest.sessions.clear()
    terminal.history("bob", output=text_out())
    assert ProfileFile().read().refresh_token == "refresh3"


def test_a_token_about_to_end_is_refreshed_before_it_is_used(rest):
    rest.expires_in = 30
    terminal.login(rest.url, "alice", "pw", "laptop")
    terminal.send("bob", "hi")
    assert [call for call in rest.calls if call[1].startswith("sessions")][-1] == ("POST", "sessions/refresh")
    assert ("POST", "conversations/@bob/messages") in rest.calls


@pytest.mark.usefixtures("alice")
def test_a_session_that_is_over_asks_for_a_new_login(rest):
    rest.sessions.clear()
    rest.refreshes.clear()
    for command in (lambda: terminal.send("bob", "x"), lambda: terminal.history("bob", output=text_out())):
        with pytest.raises(TerminalError, match="session has ended") as caught:
            command()
        assert "pabal login" in caught.value.hint


@pytest.mark.usefixtures("alice")
def test_listen_shows_what_was_missed_and_then_what_comes_and_remembers(broker):
    broker.peer_says("missed")
    broker.peer_says("missed too")
    out = text_out()
    assert terminal.listen(count=1, output=out) == 1
    assert lines(out)[0].endswith("  bob         missed")
    out = text_out(json=True)
    thread = threading.Thread(target=terminal.listen, kwargs={"count": 2, "output": out})
    thread.start()
    broker.wait_for(lambda: any("inbox/alice" in topic for link in broker.links for topic in link.topics))
    broker.peer_says("live")
    thread.join(60)
    missed, live = map(json.loads, lines(out))
    assert (missed["text"], missed["seq"], live["text"], live["seq"]) == ("missed too", 2, "live", 3)


TYPING = {"type": "typing", "conv": "alice~bob", "user": "bob", "on": True, "ts": 5}
RECEIPT = {"type": "receipt", "user": "bob", "conv": "alice~bob", "delivered": 3, "read": 2, "ts": 6}


@pytest.fixture
def patient(monkeypatch):
    """However slow the machine, a sign holds until its end is told."""
    monkeypatch.setattr(pabal_client.live, "TYPING_SECONDS", 3600.0)


def heard(broker, out, *signs, live):
    """What `listen` printed when these signs came, and a message after them."""
    options = {"count": 1, "output": out, "live": live}
    thread = threading.Thread(target=terminal.listen, kwargs=options)
    thread.start()
    for topic in ["inbox/alice", "live/alice"] if live else ["inbox/alice"]:
        broker.wait_for(
            lambda topic=topic: any(topic in name for link in broker.links for name in link.topics)
        )
    broker.send_out([("pabal/v1/live/alice", json.dumps(sign).encode()) for sign in signs])
    if live:
        # What is printed is no news of the broker's, so that nobody would wake who waits for that.
        until(lambda: len(lines(out)) == len(signs))
    broker.peer_says("hi")
    thread.join(60)
    return lines(out)


@pytest.mark.usefixtures("alice", "patient")
def test_listen_shows_who_types_and_how_far_others_have_come_if_it_is_asked_for(broker):
    whole = {**RECEIPT, "delivered": 4, "read": 4}
    unread = {**RECEIPT, "delivered": 5}
    del unread["read"]
    shown = heard(broker, text_out(), TYPING, {**TYPING, "on": False}, RECEIPT, whole, unread, live=True)
    assert [line.split("  ")[1] for line in shown[:-1]] == [
        "[alice~bob] bob is typing",
        "[alice~bob] bob is no longer typing",
        "[alice~bob] bob has everything up to #3, read up to #2",
        "[alice~bob] bob has read up to #4",
        "[alice~bob] bob has everything up to #5",
    ]
    assert shown[-1].endswith("  bob         hi")


@pytest.mark.usefixtures("alice", "patient")
def test_what_is_true_for_a_moment_is_json_too(broker):
    signs = [TYPING, {**TYPING, "on": False}, RECEIPT]
    shown = heard(broker, text_out(json=True), *signs, live=True)
    assert [json.loads(line) for line in shown[:-1]] == signs


@pytest.mark.usefixtures("alice")
def test_listen_by_itself_shows_no_more_than_messages_and_changes(broker):
    [shown] = heard(broker, text_out(), TYPING, RECEIPT, live=False)
    assert shown.endswith("  bob         hi")


@pytest.mark.usefixtures("alice")
def test_listen_ends_well_on_ctrl_c_and_when_told_to(broker):
    class Interrupting(Output):
        def message(self, *_):
            raise KeyboardInterrupt

    broker.peer_says("hi")
    assert terminal.listen(output=Interrupting(io.StringIO())) == 0
    out = text_out()
    assert terminal.listen(count=1, output=out) == 1
    stop = threading.Event()
    stop.set()
    assert terminal.listen(output=out, stop=stop) == 0


@pytest.mark.usefixtures("alice")
def test_listen_says_when_the_session_was_ended_or_the_store_is_in_use(broker):
    ended = []

    def listen():
        with pytest.raises(TerminalError) as caught:
            terminal.listen(output=text_out())
        ended.append(caught.value)

    thread = threading.Thread(target=listen)
    thread.start()
    broker.wait_for(lambda: any("down" in topic for link in broker.links for topic in link.topics))
    with pytest.raises(TerminalError, match="in use") as caught:
        terminal.listen(output=text_out())
    assert "another terminal" in caught.value.hint
    broker.send_out([("pabal/v1/down/alice/laptop", b'{"type":"kicked","reason":"logout"}')])
    thread.join(60)
    assert "logout" in ended[0].detail
    assert "pabal login" in ended[0].hint


@pytest.mark.usefixtures("alice")
def test_listen_refused_by_the_broker_asks_for_a_login(broker):
    broker.refuse = [5, 5]
    with pytest.raises(TerminalError) as caught:
        terminal.listen(output=text_out())
    assert caught.value.code == "unauthorized"


@pytest.mark.usefixtures("alice")
def test_listen_shows_a_snapshot_and_passes_over_what_it_does_not_know(broker):
    for number in range(3):
        broker.peer_says(str(number))
    broker.server.min_seq["alice"] = 3
    stop = threading.Event()
    out = text_out()
    thread = threading.Thread(target=terminal.listen, kwargs={"count": 1, "output": out, "stop": stop})
    thread.start()
    broker.wait_for(lambda: ("alice", "laptop") in broker.server.cursors)
    broker.send_out([broker.server.push("alice", type="moonrise")])
    broker.peer_says("after")
    thread.join(60)
    said = lines(out)
    assert "no longer has everything" in said[0]
    assert said[1].split() == ["alice~bob", "3", "unread"]
    assert said[-1].endswith("after")


@pytest.mark.usefixtures("alice")
def test_history_is_shown_oldest_first_over_many_pages(rest, monkeypatch):
    for number in range(1, 8):
        rest.server.commit("bob", "pc", {"to": "alice", "text": f"m{number}"})
    monkeypatch.setattr("pabal_terminal.commands._PAGE", 3)
    out = text_out(json=True)
    terminal.history("bob", limit=5, output=out)
    assert [json.loads(line)["text"] for line in lines(out)] == ["m3", "m4", "m5", "m6", "m7"]
    out = text_out()
    terminal.history("alice~bob", limit=50, before=3, output=out)
    assert [line.split()[-1] for line in lines(out)] == ["m1", "m2"]
    out = text_out()
    terminal.history("carol", output=out)
    assert lines(out) == []


def test_what_others_write_cannot_command_the_terminal():
    evil = "\x1b[2J\x1b]0;title\x07\u202egnp\x9b31m line\nnext\ttab \u200bhidden \r over"
    assert clean(evil) == "[2J]0;titlegnp31m line next tab hidden   over"
    out = text_out(colour=False)
    out.message(Message(conv="alice~bob", message_id=1, from_="bob", text=evil, ts=1), "alice")
    assert "\x1b" not in out.stream.getvalue()
    assert len(lines(out)) == 1
    out = text_out(json=True)
    out.message(Message(conv="alice~bob", message_id=1, from_="bob", text=evil + "\U0001f600파발"), "alice")
    assert out.stream.getvalue().isascii()
    assert json.loads(out.stream.getvalue())["text"] == evil + "\U0001f600파발"


def test_colour_only_where_it_is_wanted(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    message = Message(conv="alice~bob", message_id=1, from_="bob", text="hi", ts=1)
    for out, coloured in [
        (Output(Terminal()), True),
        (Output(io.StringIO()), False),
        (Output(Terminal(), colour=False), False),
        (Output(io.StringIO(), colour=True), True),
    ]:
        out.message(message, "alice")
        assert ("\x1b[" in out.stream.getvalue()) is coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Output(Terminal()).colour
    assert Output().stream is not None


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"from_": "alice", "conv": "alice~bob", "text": "x"}, "-> bob: x"),
        ({"from_": "alice", "conv": "alice~alice", "text": "x"}, "-> (saved): x"),
        ({"from_": "bob", "conv": "gaaaaaaaaaaaa", "text": "x"}, "[gaaaaaaaaaaaa] x"),
        ({"from_": "bob", "conv": "alice~bob", "body": {"t": 21.5}}, '{"t":21.5}'),
        ({"from_": "bob", "conv": "alice~bob", "kind": "wave"}, "(wave)"),
        (
            {"conv": "g", "type": "member", "action": "joined", "user": "bob", "name": "Riders"},
            "(joined: bob)",
        ),
        ({"conv": "g", "type": "conversation", "action": "created", "name": "Riders"}, "(created: Riders)"),
        ({"conv": "g", "type": "conversation", "action": "mode", "mode": "large"}, "(mode: large)"),
        ({"conv": "g", "type": "conversation", "action": "new"}, "(new)"),
        ({"conv": "alice~bob", "truncated": True}, "too large"),
        ({"from_": "bob", "text": "[bold]x[/bold] :smile:", "ts": 10**18}, "[bold]x[/bold] :smile:"),
    ],
)
def test_a_line_says_who_to_whom_and_what(message, shown):
    out = text_out()
    out.message(Message(**{"message_id": 1, "ts": 1, **message}), "alice")
    assert shown in lines(out)[0]


def test_a_snapshot_in_json_is_one_line():
    out = text_out(json=True)
    out.snapshot(Snapshot(epoch="e", head=3, conversations=[Conversation(conv="alice~bob", head=3)]))
    assert json.loads(lines(out)[0])["conversations"][0]["conv"] == "alice~bob"


def update(type_, **fields):
    payload = json.dumps(
        {"ts": 1_700_000_000_000, "conv": "gaaaaaaaaaaaa", "message_id": 4, **fields}
    ).encode()
    return Update(7, "e1", type_, payload)


@pytest.mark.parametrize(
    ("happened", "shown"),
    [
        (update("member", action="joined", user="bob", by="alice"), "bob joined, added by alice"),
        (update("member", action="joined", user="bob", by="bob"), "bob joined"),
        (update("member", action="left", user="bob", by="bob"), "bob left"),
        (update("member", action="removed", user="bob", by="alice"), "bob was removed by alice"),
        (update("member", action="role", user="bob", by="alice"), "bob: role"),
        (update("conversation", action="created", by="alice", name="Riders"), "alice made the group Riders"),
        (update("conversation", action="mode", by="alice", mode="large"), "the group is large now"),
        (update("conversation", action="renamed", by="alice"), "the group: renamed"),
        (update("mention", **{"from": "bob", "text": "\x1b[2Jlook"}), "bob mentioned you: [2Jlook"),
        (update("mention", **{"from": "bob", "body": {}}), "bob mentioned you"),
        (update("read"), "you read up to #4 on another device"),
    ],
)
def test_what_is_no_message_is_one_line_too(happened, shown):
    out = text_out()
    out.update(happened)
    (line,) = lines(out)
    assert line.endswith(f"[gaaaaaaaaaaaa] {shown}")
    out = text_out(json=True)
    out.update(happened)
    (line,) = lines(out)
    assert (
        json.loads(line).items() >= {"type": happened.type, "conv": "gaaaaaaaaaaaa", "message_id": 4}.items()
    )


@pytest.mark.parametrize("payload", [b'{"phase":3}', b'{"conv":7}'])
@pytest.mark.parametrize("type_", ["moonrise", "read"])
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_not_known_or_makes_no_sense_is_passed_over(type_, payload, as_json):
    out = text_out(json=as_json)
    out.update(Update(7, "e1", type_, payload))
    assert lines(out) == []


@pytest.mark.usefixtures("alice")
def test_listen_shows_the_messages_of_large_groups(broker):
    broker.server.create_group("gaaaaaaaaaaaa", "bob", "alice", "carol", limit=2)
    out = text_out()
    thread = threading.Thread(target=terminal.listen, kwargs={"count": 1, "output": out})
    thread.start()
    room = "pabal/v1/room/gaaaaaaaaaaaa"
    broker.wait_for(lambda: any(room in link.topics for link in broker.links))
    broker.send_out(broker.server.commit("bob", "pc", {"conv": "gaaaaaaaaaaaa", "text": "to all"})[1])
    thread.join(60)
    assert not thread.is_alive()
    made, said = lines(out)
    assert "bob made the group Riders" in made
    assert said.endswith("[gaaaaaaaaaaaa] to all")
