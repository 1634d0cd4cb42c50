"""RMQTT's `rmqtt-auth-http` plugin, 0.8 and later: `acl` in the answer to a login, a word in the answer to a question.

Its documentation: docs/en_US/auth-http.md of its repository.
"""

from typing import Final

from webapi.mqtt_emqx import acl_of
from webapi.mqtt_gate import MqttGate
from webapi.mqtt_hook_fields import Fields

_SUBSCRIBE: Final = "1"
_PUBLISH: Final = "2"


def log_in(gate: MqttGate, fields: Fields) -> dict[str, object]:
    who = gate.log_in(fields.client_id, fields.username, fields.password, fields.address)
    if who is None:
        return {"result": "deny"}
    return {"result": "allow", "superuser": False, "acl": acl_of(who)}


def log_in_and_ask(gate: MqttGate, fields: Fields) -> dict[str, object]:
    """Without a list, so that it is asked about every topic."""
    who = gate.log_in(fields.client_id, fields.username, fields.password, fields.address)
    return {"result": "deny"} if who is None else {"result": "allow", "superuser": False}


def check(gate: MqttGate, fields: Fields) -> str:
    """`access` is 1 to subscribe and 2 to publish."""
    who = gate.known(fields.client_id, fields.username)
    topic, access = fields.text("topic"), fields.text("access")
    allowed = who is not None and (
        (access == _PUBLISH and gate.may_publish(who, topic))
        or (access == _SUBSCRIBE and gate.may_subscribe(who, topic))
    )
    return "allow" if allowed else "deny"
