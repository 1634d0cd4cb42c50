"""RabbitMQ's HTTP backend (`rabbitmq_auth_backend_http`) for its MQTT plugin: the words `allow` and `deny`.

Its documentation: the README of that plugin, and "MQTT Plugin" and "Access Control" of rabbitmq.com. RabbitMQ turns a topic
into a routing key, `/` into `.` and `+` into `*`, and keeps a subscription in a queue that is named after the client id.
"""

from typing import Final

from pabal.errors import BadRequest
from pabal.ids import parse_user
from webapi.mqtt_gate import SERVICE, MqttGate
from webapi.mqtt_hook_fields import Fields

_EXCHANGE: Final = "amq.topic"
_QUEUES: Final = ("mqtt-subscription-", "mqtt-will-")


def user(gate: MqttGate, fields: Fields) -> bool:
    """The login. RabbitMQ says the client id of an MQTT client; without it nothing binds it to its credential."""
    return gate.log_in(fields.client_id, fields.username, fields.password, fields.address) is not None


def vhost(_gate: MqttGate, fields: Fields) -> bool:
    """Any, to whoever may have logged in before: what they may do there is asked for each thing."""
    username = fields.username
    if username.startswith(SERVICE):
        return True
    try:
        parse_user(username)
    except BadRequest:
        return False
    return True


def resource(gate: MqttGate, fields: Fields) -> bool:
    """The exchange of all topics, and the queues of this very client."""
    name, permission = fields.text("name"), fields.text("permission")
    match fields.text("resource"):
        case "exchange":
            return name == _EXCHANGE and permission in {"read", "write"}
        case "queue":
            who = gate.known(fields.client_id, fields.username)
            return who is not None and any(
                name.startswith(f"{kind}{fields.client_id}") and _is_end(name[len(kind + fields.client_id) :])
                for kind in _QUEUES
            )
        case _:
            return False


def _is_end(rest: str) -> bool:
    """Of the name of a queue, behind the client id: not the beginning of a longer one."""
    return rest in {"", "qos0", "qos1"}


def topic(gate: MqttGate, fields: Fields) -> bool:
    """A routing key, to write or to read."""
    who = gate.known(fields.client_id, fields.username)
    if who is None or fields.text("name") != _EXCHANGE:
        return False
    name = fields.text("routing_key").replace(".", "/").replace("*", "+")
    match fields.text("permission"):
        case "write":
            return gate.may_publish(who, name)
        case "read":
            return gate.may_subscribe(who, name)
        case _:
            return False
