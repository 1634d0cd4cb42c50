"""VerneMQ's webhooks: `auth_on_register`, `auth_on_publish`, `auth_on_subscribe`, and their `_m5` forms for MQTT 5.

Its documentation: docs.vernemq.com, "Webhooks". Which hook it is stands in the header `vernemq-hook`.
"""

from collections.abc import Callable
from typing import Final

from pabal.errors import BadRequest
from webapi.mqtt_gate import MqttGate, Principal
from webapi.mqtt_hook_fields import Fields

OK: Final[dict[str, object]] = {"result": "ok"}
NOT_ALLOWED: Final[dict[str, object]] = {"result": {"error": "not_allowed"}}
# Of a subscription that is refused, in 3.1.1 and in 5.
_REFUSED: Final = 128
_NOT_AUTHORIZED: Final = 135
_MOST_TOPICS: Final = 1_000


def answer(gate: MqttGate, hook: str, fields: Fields) -> dict[str, object]:
    """Raises: BadRequest for a hook that is none of these, or whose body cannot be read."""
    name, five = (hook.removesuffix("_m5"), True) if hook.endswith("_m5") else (hook, False)
    try:
        return _HOOKS[name](gate, fields, five)
    except KeyError:
        raise BadRequest("vernemq-hook: auth_on_register, auth_on_publish or auth_on_subscribe") from None


def _register(gate: MqttGate, fields: Fields, _five: bool) -> dict[str, object]:
    who = gate.log_in(fields.client_id, fields.username, fields.password, fields.address)
    return NOT_ALLOWED if who is None else OK


def _publish(gate: MqttGate, fields: Fields, _five: bool) -> dict[str, object]:
    """Asked for a last will too, at CONNECT."""
    who = gate.known(fields.client_id, fields.username)
    return OK if who is not None and gate.may_publish(who, fields.text("topic")) else NOT_ALLOWED


def _subscribe(gate: MqttGate, fields: Fields, five: bool) -> dict[str, object]:
    """Each filter by itself; those that are refused are answered with their code."""
    who = gate.known(fields.client_id, fields.username)
    if who is None:
        return NOT_ALLOWED
    asked = _topics(fields)
    granted = [_granted(gate, who, one, five=five) for one in asked]
    if granted == asked:
        return OK
    return {"result": "ok", "modifiers": {"topics": granted}} if five else {"result": "ok", "topics": granted}


def _granted(gate: MqttGate, who: Principal, asked: dict[str, object], *, five: bool) -> dict[str, object]:
    if gate.may_subscribe(who, str(asked["topic"])):
        return asked
    return {"topic": asked["topic"], "qos": _NOT_AUTHORIZED if five else _REFUSED}


def _topics(fields: Fields) -> list[dict[str, object]]:
    """Raises: BadRequest."""
    said = fields.get("topics")
    if not isinstance(said, list) or len(said) > _MOST_TOPICS:
        raise BadRequest("expected a list", field="topics")
    for one in said:
        if not isinstance(one, dict) or not isinstance(one.get("topic"), str):
            raise BadRequest("topics: each with topic and qos", field="topics")
    return said


_HOOKS: Final[dict[str, Callable[[MqttGate, Fields, bool], dict[str, object]]]] = {
    "auth_on_register": _register,
    "auth_on_publish": _publish,
    "auth_on_subscribe": _subscribe,
}
