"""mosquitto-go-auth's HTTP backend: `user`, `superuser` and `acl`, asked by form or JSON.

Its documentation: the README of iegomez/mosquitto-go-auth. Status and body say the same, so that `response_mode` may be
`status` or `json`.
"""

from webapi.mqtt_gate import MqttGate
from webapi.mqtt_hook_fields import Fields


def log_in(gate: MqttGate, fields: Fields) -> bool:
    return gate.log_in(fields.client_id, fields.username, fields.password, fields.address) is not None


def is_superuser(_gate: MqttGate, _fields: Fields) -> bool:
    """Nobody is: the bridge has its topics like everybody else."""
    return False


def check(gate: MqttGate, fields: Fields) -> bool:
    """`acc` is 1 for a message on its way to a client, 2 to publish and 4 to subscribe."""
    who = gate.known(fields.client_id, fields.username)
    topic = fields.text("topic")
    if who is None:
        return False
    match fields.text("acc"):
        case "2":
            return gate.may_publish(who, topic)
        case "1" | "4":
            return gate.may_subscribe(who, topic)
        case _:
            return False
