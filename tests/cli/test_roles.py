"""What stops `pabal broker` and `pabal webapi` before anything is started: one line, and the right exit code."""

import pytest

from cli import sockets
from cli.address import Address

SECRET = "--service-secret=0123456789abcdef"
RELAY = "--relay=mqtt://127.0.0.1:1"


@pytest.fixture
def refused(pabal):
    """`refused(code, *arguments)` gives the line; nothing was made before it could be told."""

    def run(code, *arguments):
        done = pabal(*arguments)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith("error: ")
        return done.err.removeprefix("error: ")

    return run


@pytest.fixture
def known(pabal, tmp_path):
    """A folder in which a database and keys are."""
    assert pabal("user", "add", "alice", "--password-stdin", stdin="correct horse\n").code == 0
    return tmp_path / "pabal-data"


@pytest.mark.parametrize("role", [("broker",), ("webapi", RELAY)])
def test_without_the_secret_of_services_there_is_neither(refused, tmp_path, role):
    said = refused(2, *role)
    assert said.startswith(
        "service_secret is not given; expected the same secret for the broker and all webapi"
    )
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_web_process_wants_to_know_its_broker(refused):
    assert refused(2, "webapi", SECRET).startswith("relay is not given; expected where the broker listens")


@pytest.mark.parametrize(
    "relay",
    [
        "127.0.0.1:1883",
        "http://broker:1883",
        "mqtt://broker",
        "mqtt://broker:0",
        "mqtt://a:1,mqtts://b:2",
        "mqtt://a:1/x",
    ],
)
def test_a_relay_that_is_none_is_refused(refused, relay):
    said = refused(2, "webapi", SECRET, f"--relay={relay}")
    assert said.startswith(f"relay = '{relay}' (flag --relay) is not right; expected mqtt://HOST:PORT")


def test_certificates_for_the_relay_that_cannot_be_used_are_refused(refused, tmp_path):
    (tmp_path / "none.pem").touch()
    for file in ("missing.pem", "none.pem"):
        said = refused(2, "webapi", SECRET, "--relay=mqtts://127.0.0.1:1", f"--relay-ca={file}")
        assert said.startswith(f"relay_ca = '{file}' cannot be used (")
        assert said.count("\n") == 1


def test_a_web_process_makes_neither_database_nor_keys(refused, known):
    assert refused(1, "webapi", SECRET, RELAY, "--data=elsewhere").startswith(
        "there is no database at elsewhere"
    )
    (known / "keys.json").unlink()
    said = refused(1, "webapi", SECRET, RELAY)
    assert "keys.json is not there" in said
    assert "keys_file" in said
    assert not (known / "keys.json").exists()


@pytest.mark.usefixtures("known")
def test_a_port_in_use_is_told(refused):
    with sockets.listen("http", Address("127.0.0.1", 0)) as taken:
        said = refused(1, "webapi", SECRET, RELAY, f"--http={sockets.address_of(taken)}")
    assert said.startswith("http = 127.0.0.1:")


@pytest.mark.usefixtures("known")
def test_a_role_looks_only_at_the_ports_that_it_opens(refused):
    with sockets.listen("mqtt", Address("127.0.0.1", 0)) as taken:
        # The usual port of another role is no clash.
        said = refused(1, "broker", SECRET, f"--mqtt={sockets.address_of(taken)}", "--ws=127.0.0.1:8080")
    assert said.startswith("mqtt = 127.0.0.1:")


def test_what_is_for_open_brokers_only_is_refused_without_open(refused):
    assert refused(2, "broker", SECRET, "--deny=a/#").startswith("--deny goes with --open")


def test_what_an_open_broker_does_not_know_is_refused(refused):
    assert refused(2, "broker", "--open", "--mqtt=127.0.0.1:0", SECRET).startswith(
        "--service-secret does not go"
    )
    assert refused(2, "broker", "--open").startswith("--open wants --mqtt")
