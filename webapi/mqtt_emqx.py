"""EMQX 5.8 and later: the HTTP authenticator with its `acl` list, and the HTTP authorizer.

Its documentation: docs.emqx.com, "Use HTTP Service" under authentication and authorization. An answer that is neither 200
nor 204 counts as `ignore`, after which another authenticator or `no_match` decides; so a no is always said.
"""

from typing import Final

from webapi.mqtt_gate import MqttGate, Principal, rights_of
from webapi.mqtt_hook_fields import Fields

_DENY_ALL: Final[dict[str, object]] = {"permission": "deny", "action": "all", "topic": "#"}


def log_in(gate: MqttGate, fields: Fields) -> dict[str, object]:
    """The answer with a list of rights that says everything: what is not on it is refused, `presence` and `room` too."""
    who = gate.log_in(fields.client_id, fields.username, fields.password, fields.address)
    if who is None:
        return {"result": "deny"}
    return {"result": "allow", "is_superuser": False, "acl": acl_of(who)}


def log_in_and_ask(gate: MqttGate, fields: Fields) -> dict[str, object]:
    """Without a list, so that the authorizer is asked about every topic."""
    who = gate.log_in(fields.client_id, fields.username, fields.password, fields.address)
    return {"result": "deny"} if who is None else {"result": "allow", "is_superuser": False}


def acl_of(who: Principal) -> list[dict[str, object]]:
    """In the order in which it is gone through."""
    rules: list[dict[str, object]] = [
        {
            "permission": "allow",
            "action": "publish" if right.publish else "subscribe",
            # Word for word where it is one topic, so that nothing in a name is taken for a placeholder.
            "topic": right.topic if right.topic.endswith("#") else f"eq {right.topic}",
        }
        for right in rights_of(who)
    ]
    return [*rules, _DENY_ALL]


def check(gate: MqttGate, fields: Fields) -> dict[str, object]:
    """`action` is `publish` or `subscribe`."""
    who = gate.known(fields.client_id, fields.username)
    topic, action = fields.text("topic"), fields.text("action")
    allowed = who is not None and (
        (action == "publish" and gate.may_publish(who, topic))
        or (action == "subscribe" and gate.may_subscribe(who, topic))
    )
    return {"result": "allow" if allowed else "deny"}
