"""What other brokers ask at `/mqtt/…`: each engine's form is the example of its documentation, with our names in it."""

import pytest
from account_fakes import PASSWORD, open_world
from webapi_fakes import FakeChat

from pabal.errors import Unavailable
from webapi.app import Services, close_app, create_app
from webapi.mqtt_gate import Insiders
from webapi.settings import BrokerEndpoint, WebSettings

BROKER = BrokerEndpoint(tcp="mqtt://127.0.0.1:1883", ws=None)

HOOK = "a secret for the hooks"
INSIDE = Insiders(("web",), "the secret of services", "bridge", "the bridge's own", "pabal-bridge")
UP, INBOX = "pabal/v1/up/alice/phone", "pabal/v1/inbox/alice"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Most questions change nothing, so that one world answers them all."""
    with open_world(tmp_path_factory.mktemp("hooks")) as world:
        for name in ("alice", "bob"):
            world.accounts.sign_up(name, PASSWORD)
        chat = FakeChat()
        chat.sees, chat.rooms = {("alice", "carol")}, {("alice", "gaaaaaaaaaaaa")}
        settings = WebSettings(brokers=(BROKER,), mqtt_hook_secret=HOOK, insiders=INSIDE)
        app = create_app(Services(world.accounts, chat, chat), settings)
        made = Web(app, world)
        made.token = world.accounts.log_in("alice", PASSWORD, "phone").access_token
        yield made
        close_app(app)


class Web:
    def __init__(self, app, world) -> None:
        self.client = app.test_client()
        self.world = world
        self.token = ""


@pytest.fixture
def web(shared):
    return shared


@pytest.fixture
def hook(web):
    """`hook(path, json)` asks with the secret; `form=…` and `query=…` are the other ways."""

    def ask(path, json=None, *, form=None, query=None, headers=None):
        given = {"X-Pabal-Hook-Secret": HOOK, **(headers or {})}
        if query is not None:
            return web.client.get(path, query_string=query, headers=given)
        return web.client.post(path, json=json, data=form, headers=given)

    return ask


def login(web, **other):
    return {"clientid": "alice:phone", "username": "alice", "password": web.token, **other}


# The door


def test_without_the_setting_there_are_no_such_paths(open_web):
    web = open_web()
    for path in ("/mqtt/auth", "/mqtt/acl", "/mqtt/emqx/auth", "/mqtt/vernemq", "/mqtt/rabbitmq/user"):
        assert web.client.post(path, json={}).status_code == 404


@pytest.mark.parametrize(
    ("headers", "query", "end", "status"),
    [
        ({"X-Pabal-Hook-Secret": HOOK}, {}, "", 200),
        ({"Authorization": f"Bearer {HOOK}"}, {}, "", 200),
        ({}, {"secret": HOOK}, "", 200),
        ({}, {}, f"/with/{HOOK}", 200),
        ({}, {}, "", 401),
        ({"X-Pabal-Hook-Secret": "wrong"}, {}, "", 401),
        ({"Authorization": "Bearer wrong"}, {}, "", 401),
        ({"Authorization": HOOK}, {}, "", 401),
        ({}, {"secret": "wrong"}, "", 401),
        ({}, {}, "/with/wrong", 401),
    ],
)
def test_the_secret_opens_in_a_header_as_a_bearer_in_the_query_or_in_the_path(
    web, headers, query, end, status
):
    answer = web.client.post(f"/mqtt/auth{end}", json=login(web), headers=headers, query_string=query)
    assert answer.status_code == status
    assert ("acl" in answer.text) == (status == 200)


def test_a_body_that_cannot_be_read_is_refused(hook):
    for raw in (b"{", b"[]", b"\xff"):
        assert hook("/mqtt/auth", form=raw).status_code == 400
    assert hook("/mqtt/auth", {"username": {"a": 1}}).status_code == 400
    assert hook("/mqtt/auth", form=b"x" * 70_000).status_code == 413


# Who comes in, by whichever engine


@pytest.mark.parametrize(
    ("other", "allowed"),
    [
        ({}, True),
        ({"clientid": "alice:phone:2"}, True),
        ({"clientid": "alice:tablet"}, False),
        ({"clientid": "bob:phone"}, False),
        ({"clientid": "nonsense"}, False),
        ({"clientid": ""}, False),
        ({"username": "bob"}, False),
        ({"username": ""}, False),
        ({"password": "wrong"}, False),
        ({"password": ""}, False),
        ({"password": PASSWORD}, False),
    ],
)
def test_a_credential_opens_only_its_own_client_id(web, hook, other, allowed):
    answer = hook("/mqtt/auth", login(web, **other))
    assert (answer.status_code, answer.json["result"]) == (200, "allow" if allowed else "deny")


@pytest.mark.parametrize(
    ("client_id", "username", "password", "allowed"),
    [
        ("pabal-bridge", "bridge", "the bridge's own", True),
        ("pabal-bridge-check-1f", "bridge", "the bridge's own", True),
        ("alice:phone", "bridge", "the bridge's own", False),
        ("pabal-bridge", "bridge", "wrong", False),
        ("svc:web-1", "svc:web-1", "the secret of services", True),
        ("svc:web", "svc:web", "the secret of services", True),
        ("svc:web-1", "svc:web-2", "the secret of services", False),
        ("svc:other", "svc:other", "the secret of services", False),
        ("svc:web-1", "svc:web-1", "wrong", False),
        ("svc:web-1", "svc:web-1", "", False),
    ],
)
def test_the_servers_own_parts_come_in_by_their_own_secrets(hook, client_id, username, password, allowed):
    said = {"clientid": client_id, "username": username, "password": password}
    assert hook("/mqtt/auth", said).json["result"] == ("allow" if allowed else "deny")


def test_without_a_secret_of_its_own_no_part_of_the_server_comes_in(open_web):
    web = open_web(mqtt_hook_secret=HOOK)
    for name in ("svc:web", "bridge"):
        said = {"clientid": name, "username": name, "password": ""}
        answer = web.client.post("/mqtt/auth", json=said, headers={"X-Pabal-Hook-Secret": HOOK})
        assert answer.json == {"result": "deny"}


def test_failed_logins_are_counted_by_the_clients_address_and_a_good_one_comes_in_all_the_same(web, hook):
    web.world.accounts.sign_up("dora", PASSWORD)
    good = web.world.accounts.log_in("dora", PASSWORD, "phone").access_token
    said = {"clientid": "dora:phone", "username": "dora", "peerhost": "192.0.2.1"}
    for _ in range(30):
        assert hook("/mqtt/auth", {**said, "password": "wrong"}).json == {"result": "deny"}
    assert hook("/mqtt/auth", {**said, "password": good}).json["result"] == "allow"
    [noted] = [event for event in web.world.accounts.events("dora")[0] if event.event == "login_failed"]
    assert (noted.detail["count"], noted.detail["addresses"]) == (10, ["192.0.2.1"])


# Who may do what, by whichever engine


@pytest.mark.parametrize(
    ("client_id", "username", "action", "topic", "allowed"),
    [
        ("alice:phone", "alice", "publish", UP, True),
        ("alice:phone:2", "alice", "publish", UP, True),
        ("alice:phone", "alice", "publish", "pabal/v1/status/alice/phone", True),
        ("alice:phone", "alice", "publish", "pabal/v1/up/bob/phone", False),
        ("alice:phone", "alice", "publish", "pabal/v1/up/alice/tablet", False),
        ("alice:phone", "alice", "publish", INBOX, False),
        ("alice:phone", "alice", "subscribe", INBOX, True),
        ("alice:phone", "alice", "subscribe", "pabal/v1/down/alice/phone", True),
        ("alice:phone", "alice", "subscribe", "pabal/v1/inbox/bob", False),
        ("alice:phone", "alice", "subscribe", "pabal/v1/inbox/+", False),
        ("alice:phone", "alice", "subscribe", "#", False),
        ("alice:phone", "alice", "subscribe", "pabal/v1/presence/carol", True),
        ("alice:phone", "alice", "subscribe", "pabal/v1/presence/bob", False),
        ("alice:phone", "alice", "subscribe", "pabal/v1/room/gaaaaaaaaaaaa", True),
        ("alice:phone", "alice", "subscribe", "pabal/v1/room/gbbbbbbbbbbbb", False),
        ("alice:phone", "alice", "dance", UP, False),
        ("alice:phone", "bob", "publish", UP, False),
        ("alice:tablet", "alice", "publish", "pabal/v1/up/alice/tablet", False),
        ("nonsense", "alice", "publish", UP, False),
        ("pabal-bridge", "bridge", "publish", INBOX, True),
        ("pabal-bridge", "bridge", "subscribe", "pabal/v1/up/#", True),
        ("pabal-bridge", "bridge", "publish", "elsewhere", False),
        ("pabal-bridge", "bridge", "subscribe", "#", False),
        ("svc:web-1", "svc:web-1", "publish", "pabal/v1/svc/web-1/up", True),
        ("svc:web-1", "svc:web-1", "subscribe", "pabal/v1/svc/web-1/down", True),
        ("svc:web-1", "svc:web-1", "publish", "pabal/v1/svc/web-2/up", False),
    ],
)
def test_the_topic_rules_are_those_of_the_protocol(hook, client_id, username, action, topic, allowed):
    said = {"clientid": client_id, "username": username, "action": action, "topic": topic}
    assert hook("/mqtt/acl", said).json == {"result": "allow" if allowed else "deny"}


def test_who_has_logged_out_may_do_nothing_any_more(web, hook):
    said = {"clientid": "bob:phone", "username": "bob", "action": "publish", "topic": "pabal/v1/up/bob/phone"}
    token = web.world.accounts.log_in("bob", PASSWORD, "phone").access_token
    assert hook("/mqtt/acl", said).json == {"result": "allow"}
    web.world.accounts.log_out(web.world.accounts.authenticate_bearer(token))
    assert hook("/mqtt/acl", said).json == {"result": "deny"}


@pytest.mark.parametrize("path", ["/mqtt/acl", "/mqtt/emqx/acl"])
def test_while_the_database_is_away_the_answer_of_an_authorizer_is_no(web, hook, monkeypatch, path):
    def away(*_about):
        raise Unavailable("down", retry_after=1)

    monkeypatch.setattr(web.world.accounts, "standing", away)
    said = {"clientid": "alice:phone", "username": "alice", "action": "publish", "topic": UP}
    assert (hook(path, said).status_code, hook(path, said).json) == (200, {"result": "deny"})


def test_while_the_database_is_away_a_login_is_neither_good_nor_bad(web, hook, monkeypatch):
    def away(*_about):
        raise Unavailable("down", retry_after=1)

    monkeypatch.setattr(web.world.accounts, "authenticate_mqtt", away)
    assert hook("/mqtt/auth", login(web)).status_code == 503


# EMQX


@pytest.mark.parametrize("path", ["/mqtt/auth", "/mqtt/emqx/auth"])
def test_emqx_is_given_a_list_that_says_everything(web, hook, path):
    answer = hook(path, login(web, peerhost="192.0.2.1"))
    assert answer.mimetype == "application/json"
    assert answer.json == {
        "result": "allow",
        "is_superuser": False,
        "acl": [
            {"permission": "allow", "action": "publish", "topic": "eq pabal/v1/status/alice/phone"},
            {"permission": "allow", "action": "subscribe", "topic": "eq pabal/v1/down/alice/phone"},
            {"permission": "allow", "action": "publish", "topic": "eq pabal/v1/up/alice/phone"},
            {"permission": "allow", "action": "subscribe", "topic": "eq pabal/v1/inbox/alice"},
            {"permission": "allow", "action": "subscribe", "topic": "eq pabal/v1/live/alice"},
            {"permission": "deny", "action": "all", "topic": "#"},
        ],
    }


def test_emqx_is_given_a_sensors_rights_and_no_more(web, hook):
    secret = web.world.accounts.add_device("alice", PASSWORD, "sensor", ["send"]).secret
    said = {"clientid": "alice:sensor", "username": "alice", "password": secret}
    topics = [rule["topic"] for rule in hook("/mqtt/emqx/auth", said).json["acl"]]
    assert "eq pabal/v1/up/alice/sensor" in topics
    assert "eq pabal/v1/inbox/alice" not in topics
    assert topics[-1] == "#"


def test_emqx_may_be_made_to_ask_about_each_topic(web, hook):
    assert hook("/mqtt/emqx/login", login(web)).json == {"result": "allow", "is_superuser": False}
    said = {"clientid": "alice:phone", "username": "alice", "topic": INBOX, "action": "subscribe", "qos": 1}
    assert hook("/mqtt/emqx/acl", said).json == {"result": "allow"}


def test_emqx_gives_the_bridge_what_is_below_the_root(hook):
    said = {"clientid": "pabal-bridge", "username": "bridge", "password": "the bridge's own"}
    assert hook("/mqtt/auth", said).json["acl"] == [
        {"permission": "allow", "action": "publish", "topic": "pabal/v1/#"},
        {"permission": "allow", "action": "subscribe", "topic": "pabal/v1/#"},
        {"permission": "deny", "action": "all", "topic": "#"},
    ]


# RMQTT


def test_rmqtt_is_answered_a_login_with_a_list_by_form_and_by_json(web, hook):
    for asked in ({"form": login(web)}, {"json": login(web)}):
        answer = hook("/mqtt/rmqtt/auth", **asked)
        assert answer.mimetype == "application/json"
        assert (answer.json["result"], answer.json["superuser"]) == ("allow", False)
        assert answer.json["acl"][-1] == {"permission": "deny", "action": "all", "topic": "#"}
    assert hook("/mqtt/rmqtt/auth", form=login(web, password="x")).json == {"result": "deny"}
    assert hook("/mqtt/rmqtt/login", form=login(web)).json == {"result": "allow", "superuser": False}


@pytest.mark.parametrize(
    ("access", "topic", "word"),
    [("2", UP, "allow"), ("1", INBOX, "allow"), ("1", UP, "deny"), ("2", INBOX, "deny"), ("3", UP, "deny")],
)
def test_rmqtt_is_answered_a_question_with_a_word(hook, access, topic, word):
    said = {
        "access": access,
        "username": "alice",
        "clientid": "alice:phone",
        "ipaddr": "127.0.0.1",
        "topic": topic,
    }
    for asked in ({"form": said}, {"query": said}):
        answer = hook("/mqtt/rmqtt/acl", **asked)
        assert (answer.status_code, answer.text, answer.mimetype) == (200, word, "text/plain")


# VerneMQ


def verne(hook, name, said):
    return hook("/mqtt/vernemq", said, headers={"vernemq-hook": name})


REGISTER = {
    "peer_addr": "127.0.0.1",
    "peer_port": 8888,
    "mountpoint": "",
    "client_id": "alice:phone",
    "username": "alice",
}
NOT_ALLOWED = {"result": {"error": "not_allowed"}}


@pytest.mark.parametrize("five", ["", "_m5"])
def test_vernemq_is_answered_a_login(web, hook, five):
    more = {"clean_start": True, "properties": {}} if five else {"clean_session": False}
    said = {**REGISTER, "password": web.token, **more}
    assert verne(hook, f"auth_on_register{five}", said).json == {"result": "ok"}
    assert verne(hook, f"auth_on_register{five}", {**said, "client_id": "bob:phone"}).json == NOT_ALLOWED
    assert verne(hook, f"auth_on_register{five}", {**said, "password": None}).json == NOT_ALLOWED


@pytest.mark.parametrize("five", ["", "_m5"])
def test_vernemq_is_answered_a_publish_and_a_will(hook, five):
    said = {
        "username": "alice",
        "client_id": "alice:phone",
        "mountpoint": "",
        "qos": 1,
        "payload": "aGVsbG8=",
        "retain": False,
    }
    assert verne(hook, f"auth_on_publish{five}", {**said, "topic": UP}).json == {"result": "ok"}
    assert verne(hook, f"auth_on_publish{five}", {**said, "topic": INBOX}).json == NOT_ALLOWED


def test_vernemq_is_answered_each_subscription(hook):
    said = {
        "client_id": "alice:phone",
        "mountpoint": "",
        "username": "alice",
        "topics": [{"topic": INBOX, "qos": 1}],
    }
    assert verne(hook, "auth_on_subscribe", said).json == {"result": "ok"}
    said["topics"].append({"topic": "pabal/v1/inbox/bob", "qos": 2})
    own, foreign = said["topics"][0], "pabal/v1/inbox/bob"
    assert verne(hook, "auth_on_subscribe", said).json == {
        "result": "ok", "topics": [own, {"topic": foreign, "qos": 128}],
    }  # fmt: skip
    assert verne(hook, "auth_on_subscribe_m5", {**said, "properties": {}}).json == {
        "result": "ok", "modifiers": {"topics": [own, {"topic": foreign, "qos": 135}]},
    }  # fmt: skip
    assert verne(hook, "auth_on_subscribe", {**said, "username": "bob"}).json == NOT_ALLOWED


def test_vernemq_is_told_of_hooks_and_bodies_that_mean_nothing(hook):
    for name, said in (
        ("on_publish", {}),
        ("", {}),
        ("auth_on_subscribe", {**REGISTER}),
        ("auth_on_subscribe", {**REGISTER, "topics": ["a/b"]}),
        ("auth_on_subscribe", {**REGISTER, "topics": [{"topic": 1, "qos": 1}]}),
    ):
        assert verne(hook, name, said).status_code == 400


# mosquitto-go-auth


@pytest.mark.parametrize("way", ["form", "json"])
def test_mosquitto_go_auth_is_answered_by_status_and_by_body(web, hook, way):
    good = hook("/mqtt/mosquitto/user", **{way: login(web)})
    assert (good.status_code, good.json) == (200, {"ok": True, "error": ""})
    bad = hook("/mqtt/mosquitto/user", **{way: login(web, password="x")})
    assert (bad.status_code, bad.json["ok"]) == (403, False)
    assert hook("/mqtt/mosquitto/superuser", **{way: {"username": "bridge"}}).status_code == 403


@pytest.mark.parametrize(
    ("acc", "topic", "status"),
    [(2, UP, 200), (4, INBOX, 200), (1, INBOX, 200), (2, INBOX, 403), (4, "#", 403), (1, UP, 403), (3, UP, 403), (0, UP, 403)],
)  # fmt: skip
def test_mosquitto_go_auth_is_answered_what_is_written_read_and_subscribed_to(hook, acc, topic, status):
    said = {"username": "alice", "topic": topic, "clientid": "alice:phone", "acc": acc}
    assert hook("/mqtt/mosquitto/acl", said).status_code == status
    assert hook("/mqtt/mosquitto/acl", form={**said, "acc": str(acc)}).status_code == status
    assert hook("/mqtt/mosquitto/acl", {**said, "username": "bob"}).status_code == 403


# RabbitMQ


def rabbit(hook, what, said):
    """By form and by query; both have to say the same."""
    answers = {hook(f"/mqtt/rabbitmq/{what}", **{way: said}).text for way in ("form", "query")}
    assert len(answers) == 1
    return answers.pop()


def test_rabbitmq_is_answered_a_login(web, hook):
    said = {"username": "alice", "password": web.token, "vhost": "/", "client_id": "alice:phone"}
    assert rabbit(hook, "user", said) == "allow"
    assert rabbit(hook, "user", {**said, "password": "x"}) == "deny"
    assert rabbit(hook, "user", {**said, "client_id": "bob:phone"}) == "deny"
    del said["client_id"]
    assert rabbit(hook, "user", said) == "deny"


def test_rabbitmq_is_answered_a_vhost(hook):
    for username, word in (("alice", "allow"), ("svc:web-1", "allow"), ("Not A Name", "deny"), ("", "deny")):
        assert rabbit(hook, "vhost", {"username": username, "vhost": "/", "ip": "127.0.0.1"}) == word


@pytest.mark.parametrize(
    ("kind", "name", "permission", "word"),
    [
        ("exchange", "amq.topic", "write", "allow"),
        ("exchange", "amq.topic", "read", "allow"),
        ("exchange", "amq.topic", "configure", "deny"),
        ("exchange", "amq.direct", "write", "deny"),
        ("queue", "mqtt-subscription-alice:phoneqos1", "configure", "allow"),
        ("queue", "mqtt-subscription-alice:phoneqos0", "read", "allow"),
        ("queue", "mqtt-subscription-bob:phoneqos1", "read", "deny"),
        ("queue", "mqtt-subscription-alice:phone2qos1", "read", "deny"),
        ("queue", "orders", "read", "deny"),
        ("topic", "amq.topic", "write", "deny"),
    ],
)
def test_rabbitmq_is_answered_a_resource(hook, kind, name, permission, word):
    said = {"username": "alice", "vhost": "/", "resource": kind, "name": name, "permission": permission}
    assert rabbit(hook, "resource", {**said, "client_id": "alice:phone"}) == word


@pytest.mark.parametrize(
    ("permission", "routing_key", "word"),
    [
        ("write", "pabal.v1.up.alice.phone", "allow"),
        ("write", "pabal.v1.up.bob.phone", "deny"),
        ("read", "pabal.v1.inbox.alice", "allow"),
        ("read", "pabal.v1.inbox.*", "deny"),
        ("read", "#", "deny"),
        ("configure", "pabal.v1.up.alice.phone", "deny"),
    ],
)
def test_rabbitmq_is_answered_a_routing_key(hook, permission, routing_key, word):
    said = {
        "username": "alice", "vhost": "/", "resource": "topic", "name": "amq.topic",
        "permission": permission, "routing_key": routing_key, "variable_map.client_id": "alice:phone",
    }  # fmt: skip
    assert rabbit(hook, "topic", said) == word
    assert rabbit(hook, "topic", {**said, "name": "amq.direct"}) == "deny"
