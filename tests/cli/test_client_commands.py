import io
import json

import pytest

import pabal_terminal


@pytest.fixture
def told(monkeypatch):
    """What the terminal client is asked to do, without doing it."""
    calls = []

    def recorder(name):
        def record(*arguments, **options):
            output = options.pop("output")
            calls.append((name, arguments, options, output.json))
            return len(calls) - 1

        return record

    for name in ("login", "send", "listen", "history"):
        monkeypatch.setattr(pabal_terminal, name, recorder(name))
    return calls


def test_a_login_reads_its_password_from_a_pipe(pabal, told):
    assert pabal("login", "alice", "--password-stdin", stdin="secret word\n").code == 0
    assert told == [
        ("login", ("http://127.0.0.1:8080", "alice", "secret word", None), {"sign_up": False}, False)
    ]


def test_a_login_goes_where_it_is_told(pabal, told, monkeypatch):
    monkeypatch.setenv("PABAL_SERVER", "http://one.example")
    pabal("login", "alice", "--password-stdin", stdin="secret word\n")
    more = ["--server", "http://two.example", "--device", "desk", "--sign-up", "--json"]
    pabal("login", "alice", "--password-stdin", *more, stdin="secret word\n")
    assert told[0][1][0] == "http://one.example"
    assert told[1] == (
        "login",
        ("http://two.example", "alice", "secret word", "desk"),
        {"sign_up": True},
        True,
    )


def test_a_text_comes_as_an_argument_or_from_a_pipe(pabal, told):
    pabal("send", "bob", "hi", "--id", "1", "--timeout", "5")
    pabal("send", "bob", "-", stdin="two\nlines\n")
    plain = {"reply_to": None, "mentions": (), "expires_in": None}
    assert told == [
        ("send", ("bob", "hi"), {**plain, "request_id": "1", "timeout": 5.0}, False),
        ("send", ("bob", "two\nlines"), {**plain, "request_id": None, "timeout": 30.0}, False),
    ]


def test_a_message_may_answer_another_one_name_people_and_have_an_end(pabal, told):
    pabal(
        "send", "bob", "hi", "--reply-to", "3", "--mention", "bob", "--mention", "carol", "--expires-in", "60"
    )
    (_, _, options, _) = told[0]
    assert options["reply_to"] == 3
    assert options["mentions"] == ["bob", "carol"]
    assert options["expires_in"] == 60


def test_listening_and_looking_back_pass_on_what_was_asked(pabal, told):
    pabal("listen", "--count", "3", "--json")
    assert pabal("history", "bob", "--limit", "5", "--before", "9").err == ""
    assert told == [
        ("listen", (), {"count": 3, "live": False}, True),
        ("history", ("bob",), {"limit": 5, "before": 9}, False),
    ]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("more", "said"),
    [([], "no messages with nobody\n"), (["--before", "7"], "no messages with nobody before 7\n")],
)
def test_a_history_without_messages_says_so_beside_the_data(pabal, more, said):
    done = pabal("history", "nobody", *more)
    assert (done.code, done.out, done.err) == (0, "", said)


@pytest.mark.parametrize("command", [["send", "bob", "hi"], ["listen"], ["history", "bob"]])
def test_without_a_login_the_cause_and_the_way_out_are_told(pabal, monkeypatch, tmp_path, command):
    monkeypatch.setenv("PABAL_PROFILE", str(tmp_path / "none.json"))
    done = pabal(*command)
    assert done.code == 1
    assert "hint: " in done.err
    assert "pabal login" in done.err


def test_a_server_that_is_not_there_is_told(pabal, monkeypatch, tmp_path):
    monkeypatch.setenv("PABAL_PROFILE", str(tmp_path / "none.json"))
    done = pabal(
        "login", "alice", "--server", "http://127.0.0.1:9", "--password-stdin", stdin="secret word\n"
    )
    assert done.code == 1
    assert done.err.startswith("error: cannot reach http://127.0.0.1:9")
    assert "hint: " in done.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def at_a_terminal(monkeypatch, answers):
    """A person who types these; returns what was asked."""
    asked = []

    def answer(question, **options):
        asked.append((question, options.get("confirmation_prompt", False)))
        return answers.pop(0)

    monkeypatch.setattr("typer.prompt", answer)
    monkeypatch.setattr("typer.confirm", answer)
    monkeypatch.setattr("io.StringIO", Terminal)
    return asked


def test_a_new_password_is_asked_for_twice_at_a_terminal(pabal, monkeypatch):
    asked = at_a_terminal(monkeypatch, ["correct horse", True])
    assert pabal("user", "add", "alice").code == 0
    assert pabal("user", "delete", "alice").code == 0
    assert json.loads(pabal("user", "list", "--json").out) == []
    assert asked == [("Password for alice", True), ("Delete alice for good?", False)]
