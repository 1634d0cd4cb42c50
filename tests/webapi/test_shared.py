"""What one webapi process shares with others: counts, news, brokers and presence."""

import threading
import time

import pytest
from account_fakes import PASSWORD, FakeClock

from bridge.backplane.plane import NullPlane
from bridge.backplane.registry import LiveBroker
from webapi.app import Services, close_app, create_app
from webapi.settings import BrokerEndpoint, WebSettings

BROKER = BrokerEndpoint("mqtt://127.0.0.1:1883", "ws://127.0.0.1:8083/mqtt")
QUIET = LiveBroker("a", "mqtts://a.example:8883", "wss://a.example/mqtt", 3)


class Plane(NullPlane):
    """What others say is what a test says."""

    def __init__(self, clock):
        super().__init__(clock)
        self.counting_alone, self.counted = self.counting, {}
        self.live, self.shown, self.told = [], None, None

    def counting_together(self, kind, rate_per_s, burst):
        return self.counted.setdefault(kind, self.counting_alone(kind, rate_per_s, burst))

    def brokers(self):
        return self.live

    def states(self, users):
        return None if self.shown is None else {user: self.shown.get(user, "offline") for user in users}

    def hear(self, *, news=None, **_others):
        self.told = news


@pytest.fixture
def plane():
    return Plane(FakeClock())


@pytest.fixture
def web(open_web, plane):
    made = open_web()
    settings = WebSettings(brokers=(BROKER,), wake_interval_s=3600)
    app = create_app(Services(made.world.accounts, made.chat, made.chat, plane), settings)
    made.client, made.app = app.test_client(), app
    yield made
    close_app(app)


def test_clients_are_sent_to_the_broker_that_says_it_is_there_and_else_to_the_configured_one(web, plane):
    token = web.login()
    configured = web.call("GET", "/v1/brokers", token=token).json["brokers"]
    assert configured == [{"tcp": "mqtt://127.0.0.1:1883", "ws": "ws://127.0.0.1:8083/mqtt"}]
    plane.live = [QUIET, LiveBroker("b", "mqtt://b.example:1883", None, 500)]
    assert web.call("GET", "/v1/brokers", token=token).json["brokers"] == [
        {"tcp": "mqtts://a.example:8883", "ws": "wss://a.example/mqtt"},
        {"tcp": "mqtt://b.example:1883", "ws": None},
    ]


def test_a_login_is_sent_to_the_least_busy_broker(web, plane):
    plane.live = [QUIET]
    answer = web.call("POST", "/v1/sessions", {"user": "alice", "password": PASSWORD, "device": "d"})
    assert answer.json["mqtt"]["tcp"] == "mqtts://a.example:8883"


def test_presence_is_looked_up_where_it_is_known_and_else_asked_of_the_relay(web, plane):
    token = web.login()
    plane.shown = {"bob": "away"}
    answer = web.call("GET", "/v1/presence?users=bob,carol,bob", token=token)
    assert answer.json == {
        "presence": [{"user": "bob", "state": "away"}, {"user": "carol", "state": "offline"}]
    }
    assert web.chat.requests == []
    plane.shown = None
    assert web.call("GET", "/v1/presence?users=bob", token=token).status_code == 200
    assert len(web.chat.requests) == 1
    web.chat.is_up = False
    assert web.call("GET", "/v1/presence?users=bob", token=token).status_code == 503


@pytest.mark.parametrize("whose", [{"alice", "zed"}, None])
def test_who_waits_is_answered_as_soon_as_there_is_said_to_be_news(web, plane, whose):
    token, answers = web.login(), []

    def wait():
        answers.append(
            web.app.test_client().get(
                "/v1/sync?after=0&wait=60", headers={"Authorization": f"Bearer {token}"}
            )
        )

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + 60
    while not web.chat.headed and time.monotonic() < deadline:
        time.sleep(0.005)
    looked = web.chat.headed
    plane.told({"bob"})
    web.chat.inboxes["alice"] = [b'{"seq":1,"epoch":"e1","type":"system","ts":1}']
    assert web.chat.headed == looked, "others' news is no reason to look"
    plane.told(whose)
    thread.join(60)
    assert [one.json["head"] for one in answers] == [1]


def test_failed_logins_of_another_process_count(web, plane):
    plane.counting = plane.counting_together
    apps = []
    for _ in range(2):
        settings = WebSettings(brokers=(BROKER,), failed_logins_per_minute=3)
        apps.append(create_app(Services(web.world.accounts, web.chat, web.chat, plane), settings))
    wrong = {"user": "alice", "password": "not this one", "device": "d"}
    said = [apps[n % 2].test_client().post("/v1/sessions", json=wrong).status_code for n in range(4)]
    assert said == [401, 401, 401, 429]
    for app in apps:
        close_app(app)
