"""What the command line makes of `pabal edit`, `group …`, `contact …`, `me …` and their kin."""

import io
import json
import re
import shlex

import pytest
import typer
from msgspec import UNSET

import cli.main
from pabal_terminal import TerminalError, account, entries, groups, people

GROUP = "gaaaaaaaaaaaa"
MODULES = {"entries": entries, "groups": groups, "people": people, "account": account}


@pytest.fixture
def told(monkeypatch):
    """What the terminal client is asked to do, without doing it; options that say nothing are left out."""
    calls = []

    def recorder(name):
        def record(*arguments, **options):
            as_json = options.pop("output").json
            given = {key: value for key, value in options.items() if value not in (None, False, ())}
            calls.append((name, arguments, given, as_json))
            return len(calls) - 1

        return record

    for name, module in MODULES.items():
        for function in [
            key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]:
            monkeypatch.setattr(module, function, recorder(f"{name}.{function}"))
    return calls


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("edit @bob 7 better", ("entries.edit", ("@bob", 7, "better"), {})),
        ("edit @bob 7 better --id mine", ("entries.edit", ("@bob", 7, "better"), {"request_id": "mine"})),
        ("recall @bob 7", ("entries.recall", ("@bob", 7), {})),
        ("react @bob 7 👍", ("entries.react", ("@bob", 7, "👍"), {})),
        ("react @bob 7 👍 --remove", ("entries.react", ("@bob", 7, "👍"), {"remove": True})),
        ("delete @bob 7", ("entries.delete", ("@bob", 7), {})),
        ("forward @bob 7 carol", ("entries.forward", ("@bob", 7, "carol"), {})),
        ("forward @bob 7 carol look", ("entries.forward", ("@bob", 7, "carol"), {"text": "look"})),
        ("read @bob 7", ("entries.read", ("@bob", 7), {})),
        ("mute @bob", ("entries.mute", ("@bob",), {})),
        ("unmute @bob", ("entries.mute", ("@bob",), {"remove": True})),
        ("group create Riders bob carol", ("groups.create", ("Riders", ["bob", "carol"]), {})),
        (
            "group create Riders --history all --posting admins",
            ("groups.create", ("Riders", ()), {"history": "all", "posting": "admins"}),
        ),
        (f"group show {GROUP}", ("groups.show", (GROUP,), {})),
        (f"group rename {GROUP} 'Night riders'", ("groups.update", (GROUP,), {"name": "Night riders"})),
        (f"group set {GROUP} --posting all", ("groups.update", (GROUP,), {"posting": "all"})),
        (f"group add {GROUP} dave", ("groups.add", (GROUP, "dave"), {})),
        (f"group remove {GROUP} dave", ("groups.remove", (GROUP, "dave"), {})),
        (f"group role {GROUP} dave admin", ("groups.add", (GROUP, "dave"), {"role": "admin"})),
        (f"group leave {GROUP}", ("groups.leave", (GROUP,), {})),
        (f"group dissolve {GROUP} --yes", ("groups.dissolve", (GROUP,), {})),
        (f"group mute {GROUP} dave", ("groups.mute", (GROUP, "dave"), {})),
        (f"group unmute {GROUP} dave", ("groups.mute", (GROUP, "dave"), {"remove": True})),
        (f"group invite {GROUP} --uses 5", ("groups.invite", (GROUP,), {"uses": 5})),
        (f"group invites {GROUP}", ("groups.invites", (GROUP,), {})),
        (f"group uninvite {GROUP} code", ("groups.uninvite", (GROUP, "code"), {})),
        ("group join code", ("groups.join", ("code",), {})),
        ("contact request bob 'we met'", ("people.contact_request", ("bob", "we met"), {})),
        ("contact accept bob", ("people.contact_accept", ("bob",), {})),
        ("contact remove bob", ("people.contact_remove", ("bob",), {})),
        ("contact list", ("people.contact_list", (), {})),
        ("block add bob", ("people.block_add", ("bob",), {})),
        ("block remove bob", ("people.block_remove", ("bob",), {})),
        ("block list", ("people.block_list", (), {})),
        ("who bob carol", ("people.who", (["bob", "carol"],), {})),
        ("search bo --limit 3", ("people.search", ("bo",), {"limit": 3})),
        ("report spam --user bob", ("people.report", ("spam",), {"user": "bob"})),
        (
            "report spam --conv @bob --message 3 --text often",
            ("people.report", ("spam",), {"conversation": "@bob", "message_id": 3, "text": "often"}),
        ),
        ("conversations", ("account.conversations", (), {})),
        ("me show", ("account.show", (), {})),
        ("me security --limit 3", ("account.security", (), {"limit": 3})),
        ("devices list", ("account.devices", (), {})),
        ("devices remove phone", ("account.device_remove", ("phone",), {})),
    ],
)
def test_each_command_asks_for_what_was_typed_and_prints_json_where_told(pabal, told, line, call):
    assert pabal(*shlex.split(line), "--json").code == 0
    assert told == [(*call, True)]


def test_how_long_is_told_in_seconds_and_asked_for_as_a_time(pabal, told, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_000.5)
    pabal("mute", "@bob", "--for", "60")
    pabal("group", "mute", GROUP, "dave", "--for", "1")
    assert [options["until"] for _, _, options, _ in told] == [1_060_500, 1_001_500]


def test_settings_are_changed_one_by_one_and_an_empty_name_removes_it(pabal, told):
    pabal("me", "set", "--display-name", "", "--about", "on the road")
    pabal("me", "set", "--last-seen", "nobody", "--no-search", "--read-receipts")
    assert "display_name" not in told[0][2]  # it is None, which removes the name
    assert told[0][2]["about"] == "on the road"
    assert told[1][2]["privacy"] == {"last_seen": "nobody", "read_receipts": True, "search": False}
    assert told[1][2]["display_name"] is UNSET
    nothing = pabal("me", "set")
    assert (nothing.code, len(told)) == (2, 2)


def test_passwords_come_from_a_pipe_line_by_line(pabal, told):
    pabal("me", "password", "--password-stdin", stdin="old one\nnew one\n")
    pabal("me", "delete", "--yes", "--password-stdin", stdin="new one\n")
    pabal("devices", "add", "sensor", "--allow", "send", "--password-stdin", stdin="new one\n")
    assert [(name, arguments) for name, arguments, *_ in told] == [
        ("account.password", ("old one", "new one")),
        ("account.delete", ("new one",)),
        ("account.device_add", ("sensor", "new one", ["send"])),
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_cannot_be_undone_asks_first_at_a_terminal(pabal, told, monkeypatch):
    asked = []

    def refuse(question, **_options):
        asked.append(question)
        raise typer.Abort

    monkeypatch.setattr("typer.confirm", refuse)
    monkeypatch.setattr("io.StringIO", Terminal)
    assert pabal("me", "delete").code == 130
    assert pabal("group", "dissolve", GROUP).code == 130
    assert asked == ["Delete your account for good?", f"Dissolve {GROUP} for all its members?"]
    assert told == []


def test_the_export_goes_to_a_file(pabal, told, tmp_path):
    pabal("me", "export", str(tmp_path / "alice.zip"))
    assert told[0][1] == (tmp_path / "alice.zip",)


def test_a_list_with_nothing_in_it_says_so_beside_the_data(pabal, told):
    for line in ("contact list", "block list", "conversations", "search nobody", "group invites g"):
        told.clear()
        done = pabal(*line.split())
        assert (done.code, done.out) == (0, "")
        assert done.err.count("\n") == 1


def test_a_refusal_is_one_line_with_its_code(pabal, monkeypatch):
    def refuse(*_arguments, **_options):
        raise TerminalError("bob does not want it", code="blocked")

    monkeypatch.setattr(people, "contact_request", refuse)
    done = pabal("contact", "request", "bob")
    assert (done.code, done.out, done.err) == (1, "", "error: bob does not want it (blocked)\n")


@pytest.mark.parametrize(
    "line", ["edit @bob x text", "edit @bob 0 text", "group role g bob king", "who", "report"]
)
def test_a_wrong_usage_is_said_before_anything_is_asked(pabal, told, line):
    assert pabal(*line.split()).code == 2
    assert told == []


def leaves(command, path=()):
    """Every command that does something, with its words."""
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, one in below.items():
        yield from leaves(one, (*path, name))


NOUNS = {"group", "contact", "block", "me", "devices"}
ALONE = {
    "edit",
    "recall",
    "react",
    "delete",
    "forward",
    "read",
    "mute",
    "unmute",
    "who",
    "search",
    "report",
    "conversations",
}


def test_every_help_has_an_example_that_the_command_line_takes(pabal, told):
    found = 0
    for path, command in leaves(typer.main.get_command(cli.main.app)):
        if path[0] not in NOUNS | ALONE:
            continue
        example = re.search(r"^Example: pabal (.*)$", command.help or "", re.MULTILINE)
        assert example is not None, path
        words = shlex.split(example[1])
        assert tuple(words[: len(path)]) == path
        done = pabal(*words, *(["--password-stdin"] if needs_password(path) else []), stdin="old\nnew\n")
        assert done.code == 0, (words, done.err)
        found += 1
    assert found == len(told) >= 40
    assert not any(as_json for *_, as_json in told)


def needs_password(path):
    return path in {("me", "password"), ("me", "delete"), ("devices", "add")}


def test_lists_in_json_are_for_programs(pabal, monkeypatch):
    monkeypatch.setattr(people, "contact_list", lambda output: output.data({"user": "bob"}) or 1)
    assert json.loads(pabal("contact", "list", "--json").out) == {"user": "bob"}
