"""The broker's state as amqtt's plugins look at it: read-only, made when asked for."""

from collections.abc import Iterator, MutableMapping
from typing import Any, cast

from amqtt.broker import RetainedApplicationMessage
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session as AmqttSession

from broker.grants import qos_of
from broker.hub import Hub
from broker.plugin_session import PluginSession
from broker.session import Session

# amqtt pairs every session with its protocol handler. There is none here, and plugins do not use it.
Pair = tuple[AmqttSession, BrokerProtocolHandler]
NO_HANDLER = cast("BrokerProtocolHandler", None)


def view_of(session: Session) -> PluginSession:
    """The plugins' view of a session; made now for one that was loaded or has not been seen yet."""
    view = session.view
    if view is None:
        view = session.view = PluginSession()
        view.client_id, view.clean_session, view.core = session.client_id, session.clean, session
    return view


class SessionsView(MutableMapping[str, Pair]):
    """`Broker.sessions`. Writing is for `BrokerContext.add_subscription`, which puts in what
    `create_offline_session` made.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getitem__(self, client_id: str) -> Pair:
        return view_of(self._hub.sessions[client_id]), NO_HANDLER

    def __setitem__(self, client_id: str, pair: Any) -> None:
        view = pair[0]
        if not isinstance(view, PluginSession) or view.core is None or view.client_id != client_id:
            raise TypeError("only sessions of this broker can be put in")
        self._hub.register(view.core)

    def __delitem__(self, client_id: str) -> None:
        raise TypeError("sessions are deleted through the broker")

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._hub.sessions))

    def __len__(self) -> int:
        return len(self._hub.sessions)


def subscriptions_of(hub: Hub) -> dict[str, list[tuple[AmqttSession, int]]]:
    """A copy of all subscriptions, by filter."""
    found: dict[str, list[tuple[AmqttSession, int]]] = {}
    for session in hub.sessions.values():
        for topic_filter, granted in session.subscriptions.items():
            found.setdefault(topic_filter, []).append((view_of(session), qos_of(granted)))
    return found


def retained_of(hub: Hub) -> dict[str, RetainedApplicationMessage]:
    """A copy of all retained messages, by topic."""
    return {
        topic: RetainedApplicationMessage(None, topic, message.payload, message.qos)
        for topic, message in hub.retained.items()
    }
