"""Plugins as a user of amqtt would write them."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from amqtt.broker import BrokerContext
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin
from amqtt.session import Session


class Recorder(BasePlugin[BrokerContext]):
    """Writes down every event it is told of."""

    @dataclass
    class Config:
        log: Any = None

    def _note(self, name: str, *about: Any) -> None:
        self.config.log.append((name, *about))

    async def on_broker_pre_start(self) -> None:
        self._note("pre_start")

    async def on_broker_post_start(self) -> None:
        self._note("post_start")
        self._note("context", self.context)

    async def on_broker_pre_shutdown(self) -> None:
        self._note("pre_shutdown")

    async def on_broker_post_shutdown(self) -> None:
        self._note("post_shutdown")

    async def on_broker_client_connected(self, *, client_id: str, client_session: Session) -> None:
        self._note("connected", client_id, client_session.username, client_session.transitions.state)

    async def on_broker_client_disconnected(self, *, client_id: str, client_session: Session) -> None:
        self._note("disconnected", client_id, client_session.transitions.is_disconnected())

    async def on_broker_client_subscribed(self, *, client_id: str, topic: str, qos: int) -> None:
        self._note("subscribed", client_id, topic, qos)

    async def on_broker_client_unsubscribed(self, *, client_id: str, topic: str) -> None:
        self._note("unsubscribed", client_id, topic)

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        self._note(
            "received", client_id, message.topic, bytes(message.data), message.publish_packet.retain_flag
        )

    async def on_broker_message_broadcast(self, *, client_id: str, message: Any) -> None:
        self._note("broadcast", client_id, message.topic)

    async def on_broker_retained_message(self, *, client_id: str | None, retained_message: Any) -> None:
        self._note("retained", client_id, retained_message.topic)


class Packets(BasePlugin[BrokerContext]):
    """Writes down the packets."""

    @dataclass
    class Config:
        log: Any = None

    async def on_mqtt_packet_received(self, *, packet: Any, session: Session | None = None) -> None:
        self.config.log.append(("in", type(packet).__name__, session and session.client_id))

    async def on_mqtt_packet_sent(self, *, packet: Any, session: Session | None = None) -> None:
        self.config.log.append(("out", type(packet).__name__, session and session.client_id))


class Doorman(BaseAuthPlugin):
    """Lets nobody in who is on the list, and remembers the password it saw."""

    @dataclass
    class Config:
        banned: list[str] = field(default_factory=list)
        seen: Any = None

    async def authenticate(self, *, session: Session) -> bool | None:
        if session.username == "crash":
            raise RuntimeError("a bug in somebody's plugin")
        if self.config.seen is not None:
            self.config.seen.append((session.username, session.password, session.remote_address))
        session.attributes["doorman.met"] = True
        return None if session.username not in self.config.banned else False


class Filter(BaseTopicPlugin):
    """Rules on all three actions; counts how often it is asked."""

    asked: ClassVar[list[tuple[str, str, str]]]

    @dataclass
    class Config:
        denied: Any = None
        asked: Any = None

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        assert session is not None
        self.config.asked.append((session.client_id, topic, str(action)))
        if topic == "crash":
            raise RuntimeError("a bug in somebody's plugin")
        if topic == "no/opinion":
            return None
        return (str(action), topic) not in self.config.denied


class Passwords(BaseAuthPlugin):
    """One password for all."""

    @dataclass
    class Config:
        good: str

    async def authenticate(self, *, session: Session) -> bool | None:
        return session.password == self.config.good


class Denier(BaseTopicPlugin):
    """Nobody may publish to these topics; `asked` holds every question."""

    @dataclass
    class Config:
        denied: Any
        asked: Any

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        assert session is not None
        self.config.asked.append((session.client_id, topic, str(action)))
        return not (action == Action.PUBLISH and topic in self.config.denied)
