"""The broker alone: no login, no topic rules but denied filters. For conformance suites and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import ClassVar

from amqtt.contexts import Action, BaseContext, BrokerConfig
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from bridge.ports import QueueStore, SessionStore
from broker.build import TlsListeners, listeners
from broker.mqtt.fields import MAX_REMAINING
from broker.mqtt.reasons import Reason
from broker.server import PabalBroker
from broker.session import NEVER
from broker.settings import BrokerSettings
from pabal import topics

WELCOME_PLUGIN = "broker.open_mode.WelcomePlugin"
DENY_PLUGIN = "broker.open_mode.DenyPlugin"
# As conformance suites expect a broker to be that nobody has configured: no limit on packets but the protocol's, the
# words of mosquitto's CONNACK, a keep-alive of at most a minute, and reason codes without words.
OPEN_SETTINGS = BrokerSettings(
    max_packet_bytes=MAX_REMAINING + 5,
    receive_maximum=20,
    alias_maximum=10,
    keep_alive_max=60,
    session_expiry_max=NEVER,
    reason_strings=False,
    malformed_connect_answered=False,
    strict_topics=True,
    sys_interval=10.0,
)


def build_open_broker(
    *,
    mqtt: str,
    ws: str | None = None,
    deny: Sequence[str] = (),
    store: SessionStore | None = None,
    queues: QueueStore | None = None,
    settings: BrokerSettings | None = None,
    tls: TlsListeners | None = None,
) -> PabalBroker:
    """A broker that lets everybody in, not yet started. `deny`: topic filters that nobody may use. `settings`: those of
    `OPEN_SETTINGS` if there are none.

    Raises: ValueError for an address that is not this machine's own, or a malformed filter.
    """
    secure = () if tls is None else (tls.mqtts, tls.wss)
    for address in filter(None, (mqtt, ws, *secure)):
        if not is_loopback(address):
            raise ValueError(f"{address}: without login only a loopback address, such as 127.0.0.1, will do")
    for denied in deny:
        if not topics.is_valid_filter(denied):
            raise ValueError(f"{denied!r} is no topic filter")
    plugins: dict[str, dict[str, object]] = {WELCOME_PLUGIN: {}}
    if deny:
        plugins[DENY_PLUGIN] = {"filters": list(deny)}
    config = BrokerConfig(listeners=listeners(mqtt, ws, tls), plugins=plugins)
    return PabalBroker(config, store=store, queues=queues, settings=settings or OPEN_SETTINGS)


def is_loopback(address: str) -> bool:
    """Whether `HOST:PORT` is reachable from this machine only."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class WelcomePlugin(BaseAuthPlugin):
    """Everybody may come in, with any user name and password or none."""

    async def authenticate(self, *, session: Session) -> bool | None:
        session.is_anonymous = session.username is None
        return True


class DenyPlugin(BaseTopicPlugin):
    """Some filters are nobody's: publishing to what they take in, and subscribing within them, is refused.

    A wider subscription is granted; nothing can arrive there that the denied filter takes in.
    """

    filters_receive: ClassVar[bool] = False
    # What conformance suites expect where nothing is said about who may do what.
    refusal: ClassVar[int] = Reason.UNSPECIFIED_ERROR

    @dataclass
    class Config:
        filters: list[str] = field(default_factory=list)

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._filters: list[str] = self.config.filters

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,  # noqa: ARG002 -- amqtt's signature
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        if topic is None:
            return False
        if action == Action.PUBLISH and topic.startswith("$SYS/"):
            return False
        # A wildcard of the subscription is compared as a level: within a denied filter if that has one there.
        return not any(denied == topic or topics.matches(denied, topic) for denied in self._filters)
