"""What the first message's tests ask, of mosquitto as `pabal mosquitto-config` sets it up, `pabal bridge` and `pabal webapi`.

Devices log in as `{user}:{device}` here, with their secrets: mosquitto knows one credential for each user name.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mosquitto import MISSING, PROGRAM, Mosquitto
from people import PASSWORD, Person, Plain, wait_for
from role_process import RoleProcess

from cli import database
from cli.mosquitto import conf
from cli.settings import Settings
from pabal.ids import UserId

_HAS_PLUGIN = Path(conf.plugin()).exists()
pytestmark = [
    pytest.mark.functional,
    pytest.mark.skipif(PROGRAM is None, reason=MISSING),
    pytest.mark.skipif(not _HAS_PLUGIN, reason="mosquitto's dynamic security plugin is not installed"),
]
DEVICES = ("alice:phone", "bob:phone", "bob:tablet", "alice:sensor", "alice:display")
NARROW = {"sensor": ["send"], "display": ["receive"]}


class Stack:
    """All of it. `kill` and `start` are of the bridge, which is the server here."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.out = folder / "mosquitto"
        self._folder = folder
        self.mosquitto = Mosquitto(folder, config=self.out / "mosquitto.conf")
        self.mqtt = self.mosquitto.port
        self.secrets: dict[str, str] = {}
        self.roles: list[RoleProcess] = []
        self.api = ""

    def begin(self) -> "Stack":
        with database.accounts(Settings(data=self.data)) as accounts:
            for user in ("alice", "bob"):
                accounts.sign_up(user, PASSWORD)
            for device, allow in NARROW.items():
                accounts.add_device(UserId("alice"), PASSWORD, device, allow)
        self.configure(*DEVICES)
        config = self.out / "mosquitto.conf"
        # Run by root it would become somebody who may not read that folder; whoever else runs it stays who it is.
        config.write_text(f"user root\n{config.read_text()}" if os.geteuid() == 0 else config.read_text())
        self.mosquitto.start()
        web = self.run(
            "webapi", "--relay", f"mqtt://127.0.0.1:{self.mqtt}", "--service-name", "web-1",
            "--service-secret-file", str(self.out / "service-secret"), "--http", "127.0.0.1:0",
        )  # fmt: skip
        self.start()
        self.api = web.await_ready().url() + "/v1"
        return self

    def configure(self, *devices: str) -> None:
        more = [part for device in devices for part in ("--device", device)]
        listen = ["--listen", f"127.0.0.1:{self.mqtt}"]
        made = subprocess.run(
            [sys.executable, "-m", "cli", "mosquitto-config", "--out", self.out, "--data", self.data, *listen, *more],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=True,
        )  # fmt: skip
        self.secrets |= dict(line.split(" ") for line in made.stdout.splitlines())

    def run(self, role: str, *arguments: str) -> RoleProcess:
        log = self._folder / f"{role}.log"
        # The secret is in its file.
        environment = {"PABAL_SERVICE_SECRET": ""}
        self.roles.append(
            RoleProcess(log, role, "--data", str(self.data), *arguments, environment=environment)
        )
        return self.roles[-1]

    def start(self) -> None:
        self.bridge = self.run(
            "bridge", "--mqtt-url-file", str(self.out / "mqtt-url"), "--metrics=127.0.0.1:0"
        )
        self.bridge.await_ready()

    def kill(self) -> None:
        self.bridge.kill()

    def close(self) -> None:
        for role in reversed(self.roles):
            role.close()
        self.mosquitto.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One for all tests that do not mind what is there already."""
    made = Stack(tmp_path_factory.mktemp("standing"))
    yield made.begin()
    made.close()


@pytest.fixture
def stack(request, tmp_path):
    if request.node.originalname not in FRESH:
        yield request.getfixturevalue("standing")
        return
    made = Stack(tmp_path)
    yield made.begin()
    made.close()


class Somebody(Person):
    """Whose devices have their secrets already, and whose earlier messages are nobody's concern."""

    def __init__(self, stack: Stack, user: str) -> None:
        super().__init__(stack.api, user)
        self.stack = stack

    def secret(self, device: str, allow: list[str] | None = None) -> str:
        assert allow is None or allow == NARROW[device]
        return self.stack.secrets[f"{self.user}:{device}"]


@pytest.fixture
def server(stack):
    return stack


@pytest.fixture
def person(stack):
    made = []

    def make(user: str) -> Somebody:
        made.append(Somebody(stack, user))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def plain(stack):
    made = []

    def make(who: Person, *, device: str | None = None, connect: bool = True, **options: object) -> Plain:
        name = f"{who.user}:{device or who.device}"
        # Not by its access token, of which mosquitto knows nothing.
        options |= {"password": stack.secrets[name], "username": name}
        made.append(Plain(stack.mqtt, name, **options))
        return made[-1].connect() if connect else made[-1]

    yield make
    for client in made:
        client.close()


def _shared():
    path = Path(__file__).with_name("test_first_message.py")
    spec = importlib.util.spec_from_file_location("first_message_again", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_first = _shared()
# They count what is there, from nothing.
FRESH = (
    "test_a_message_reaches_somebody_who_is_online",
    "test_the_same_id_three_times_is_stored_and_delivered_once",
    "test_a_publish_on_a_foreign_topic_is_acknowledged_and_dropped",
    "test_two_devices_end_with_the_same_inbox_though_one_is_late",
    "test_long_polling_is_answered_soon_after_something_is_there",
    "test_a_sensor_that_may_only_send_cannot_read",
    "test_a_display_that_may_only_receive_cannot_send",
    "test_a_message_pack_request_is_answered_in_kind",
)
STANDING = (
    "test_foreign_topics_cannot_be_subscribed_to",
    "test_malformed_payloads_are_answered_and_the_connection_stays",
    "test_an_oversize_packet_closes_its_connection_and_no_other",
)
globals().update({name: getattr(_first, name) for name in FRESH + STANDING})


def test_a_persistent_session_gets_what_was_sent_meanwhile_over_a_kill_of_the_bridge(standing, person, plain):
    """What the bridge had not heard to be acknowledged comes again; a device drops it by its seq.

    Likewise what it had stored and not acknowledged to mosquitto: that is known by the request's id.
    """
    alice, bob = person("alice"), person("bob")
    receiver = plain(bob, device="tablet", clean=False)
    receiver.subscribe("pabal/v1/inbox/bob")
    receiver.close()
    head = bob.http.get("/sync", params={"after": 0}).json()["head"]
    sender = plain(alice)
    for number in range(20):
        request = {"id": f"away-{number}", "to": "bob", "text": f"while away {number}"}
        sender.publish(f"pabal/v1/up/alice/{alice.device}", request)
    standing.kill()
    standing.start()
    again = plain(bob, device="tablet", clean=False)
    assert again.session_present is True
    wait_for(lambda: head + 20 in again.seqs("bob"))
    texts, last = [], head
    for update in again.updates("bob"):
        if update["seq"] > last:
            assert update["seq"] == last + 1
            last = update["seq"]
            texts.append(update["text"])
    assert texts == [f"while away {number}" for number in range(20)]


@pytest.mark.parametrize(
    ("client_id", "username", "secret_of"),
    [
        ("bob:phone", "bob:phone", "alice:phone"),
        ("alice:phone", "bob:phone", "bob:phone"),
        ("bob:tablet", "bob:phone", "bob:phone"),
        ("bob:phone:2", "bob:phone", "bob:phone"),
        ("alice:phone", "bob", "bob:phone"),
        ("svc:web-1", "svc:web-1", "bob:phone"),
        ("pabal-bridge", "bridge", "bob:phone"),
    ],
)
def test_a_credential_opens_only_its_own_client_id(standing, client_id, username, secret_of):
    for name in (
        "bob:phone",
        "bob",
    ):  # rightly used it is let in, by the user's name too for the first device
        client = Plain(standing.mqtt, "bob:phone", standing.secrets["bob:phone"], username=name)
        client.connect().close()
    mallory = Plain(standing.mqtt, client_id, standing.secrets[secret_of], username=username)
    mallory.connect(expect=None)
    assert mallory.connack in {0x86, 0x87, 4, 5, 128 + 4, 128 + 5}
    mallory.close()


def test_a_will_on_a_foreign_topic_is_never_published(standing, person, plain):
    """mosquitto takes it, and looks at the end of the connection whether it may be published."""
    alice, bob = person("alice"), person("bob")
    victim = plain(alice)
    victim.subscribe("pabal/v1/inbox/alice")
    will = ("pabal/v1/inbox/alice", b"forged", 1, False)
    mallory = Plain(
        standing.mqtt, "bob:phone", standing.secrets["bob:phone"], username="bob:phone", will=will
    )
    mallory.connect()
    mallory.client.socket().close()
    plain(bob, device="tablet").publish("pabal/v1/up/bob/tablet", {"to": "alice", "text": "honest"})
    wait_for(lambda: "honest" in [update.get("text") for update in victim.updates("alice")])
    assert b"forged" not in [message.payload for message in victim.raw]
    mallory.close()


def test_made_again_the_configuration_keeps_secrets_adds_devices_and_leaves_out_those_that_are_gone(
    standing, person
):
    before = dict(standing.secrets)
    alice = person("alice")
    standing.configure("alice:watch")
    assert {name: standing.secrets[name] for name in before} == before
    names = [client["username"] for client in _clients(standing)]
    assert {"alice:watch", "alice:phone", "alice", "bob", "bridge", "svc:web-1"} <= set(names)
    assert alice.http.delete("/devices/watch").status_code == 204
    standing.configure()
    assert "alice:watch" not in [client["username"] for client in _clients(standing)]


def _clients(stack: Stack) -> list[dict]:
    return json.loads((stack.out / "dynamic-security.json").read_text())["clients"]
