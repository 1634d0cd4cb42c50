"""What we rely on in amqtt. When one of these fails, amqtt has moved, and so must `broker.server`."""

import inspect
from importlib.metadata import version

import amqtt.adapters
import pytest
from amqtt.broker import Broker, BrokerContext, Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin
from amqtt.plugins.manager import PluginManager
from amqtt.session import IncomingApplicationMessage, Session

from broker.plugin_session import PluginSession
from broker.server import PabalBroker

SIGNATURES = {
    Broker.__init__: ["self", "config", "loop", "plugin_namespace"],
    Broker.start: ["self"],
    Broker.shutdown: ["self"],
    Broker._start_listeners: ["self"],
    Broker._create_server_instance: [
        "self",
        "listener_name",
        "listener_type",
        "address",
        "port",
        "ssl_context",
    ],
    Broker.ws_connected: ["self", "websocket", "listener_name"],
    Broker.stream_connected: ["self", "reader", "writer", "listener_name"],
    Broker.external_connected: ["self", "reader", "writer", "listener_name"],
    Broker._client_connected: ["self", "listener_name", "reader", "writer"],
    Broker.internal_message_broadcast: ["self", "topic", "data", "qos"],
    Broker.retain_message: ["self", "source_session", "topic_name", "data", "qos"],
    Broker.add_subscription: ["self", "subscription", "session"],
    Broker.create_offline_session: ["self", "client_id"],
    Broker._delete_session: ["self", "client_id"],
    BrokerContext.broadcast_message: ["self", "topic", "data", "qos"],
    BrokerContext.retain_message: ["self", "topic_name", "data", "qos"],
    BrokerContext.add_subscription: ["self", "client_id", "topic", "qos"],
    BrokerContext.get_session: ["self", "client_id"],
    Server.__init__: ["self", "listener_name", "server_instance", "max_connections"],
    Server.close_instance: ["self"],
    PluginManager.fire_event: ["self", "event_name", "wait", "method_kwargs"],
    PluginManager.map_plugin_auth: ["self", "session"],
    PluginManager.map_plugin_topic: ["self", "session", "topic", "action"],
    PluginManager.wait_fired_events: ["self"],
    PluginManager.close: ["self"],
    BaseAuthPlugin.authenticate: ["self", "session"],
    BaseTopicPlugin.topic_filtering: ["self", "session", "topic", "action"],
    BasePlugin.__init__: ["self", "context"],
    IncomingApplicationMessage.__init__: ["self", "packet_id", "topic", "qos", "data", "retain"],
}


def test_the_version_is_the_one_that_was_read():
    assert version("amqtt") == "0.12.1"


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda one: one.__qualname__)
def test_a_signature_that_we_override_or_call(function):
    assert list(inspect.signature(function).parameters) == SIGNATURES[function]


@pytest.mark.parametrize(
    "name",
    [name for name in vars(PabalBroker) if callable(getattr(Broker, name, None)) and name != "__init__"],
)
def test_what_we_override_takes_the_same_arguments(name):
    ours, theirs = getattr(PabalBroker, name), getattr(Broker, name)
    if name.startswith("__"):
        return
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_views_are_properties():
    for name in ("sessions", "subscriptions", "retained_messages"):
        assert isinstance(inspect.getattr_static(Broker, name), property)


def test_the_events_and_actions_are_those_we_know():
    assert {str(event) for event in BrokerEvents} == {
        "broker_pre_start",
        "broker_post_start",
        "broker_pre_shutdown",
        "broker_post_shutdown",
        "broker_client_connected",
        "broker_client_disconnected",
        "broker_client_subscribed",
        "broker_client_unsubscribed",
        "broker_retained_message",
        "broker_message_received",
        "broker_message_broadcast",
    }
    assert {str(event) for event in MQTTEvents} == {"mqtt_packet_sent", "mqtt_packet_received"}
    assert {str(action) for action in Action} == {"subscribe", "publish", "receive"}
    assert {str(kind) for kind in ListenerType} == {"tcp", "ws", "external"}


def test_a_plugins_session_has_every_attribute_of_amqtts():
    theirs = {name for name in vars(Session()) if not name.startswith("__")}
    ours = PluginSession()
    assert [name for name in theirs if not hasattr(ours, name)] == []
    assert vars(ours).keys() == {"attributes"}
    assert ours.transitions.is_new()
    assert not ours.transitions.is_connected()
    assert ours.inflight_in_count == ours.inflight_out_count == ours.retained_messages_count == 0
    assert not ours.inflight_in
    assert not ours.inflight_out
    assert ours.retained_messages.empty()
    assert ours.delivered_message_queue.empty()
    other = Session()
    assert (ours == other, ours == 1) == (True, False)
    assert hash(ours) == hash(None)


async def test_the_managers_private_lists_are_where_we_look(world):
    await world.start()
    manager = world.broker.plugins_manager
    assert [type(one).__name__ for one in manager._topic_plugins] == ["RulesPlugin"]
    assert isinstance(manager._event_plugin_callbacks, dict)


async def test_amqtts_own_tasks_are_not_started(world):
    await world.open()
    assert world.broker._broadcast_task is None
    assert world.broker._session_monitor_task is None


def test_the_configuration_is_amqtts():
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind="127.0.0.1:1")}, plugins={"a.B": {"x": object()}}
    )
    assert config.plugins["a.B"]["x"].__class__ is object
    assert inspect.isabstract(amqtt.adapters.ReaderAdapter)
