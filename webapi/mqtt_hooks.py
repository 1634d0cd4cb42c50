"""Where other brokers ask who may do what: `/mqtt/…`, a path for each engine, reachable only with a shared secret.

The secret comes in the header `X-Pabal-Hook-Secret`, as a Bearer token, or, from engines that can send no header, as
`secret` in the query or as the last part of the path behind `/with/`.
"""

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from flask import Flask, Response, request

from pabal.errors import BadRequest, TooLarge, Unauthorized, Unavailable
from webapi import mqtt_emqx, mqtt_go_auth, mqtt_rabbitmq, mqtt_rmqtt, mqtt_vernemq
from webapi.mqtt_gate import MqttGate
from webapi.mqtt_hook_fields import MOST_BYTES, Fields

HEADER: Final = "X-Pabal-Hook-Secret"
_BEARER: Final = "Bearer "

Answered = Callable[[Fields], Response]


class MqttHooks:
    def __init__(self, gate: MqttGate, secret: str) -> None:
        self._gate = gate
        self._secret = secret.encode()

    def register(self, app: Flask) -> None:
        gate = self._gate
        routes: dict[str, Answered] = {
            # Without an engine's name: EMQX's, which others have copied.
            "/mqtt/auth": lambda fields: _json(mqtt_emqx.log_in(gate, fields)),
            "/mqtt/acl": lambda fields: _unless_away(lambda: _json(mqtt_emqx.check(gate, fields)), _DENY),
            "/mqtt/emqx/auth": lambda fields: _json(mqtt_emqx.log_in(gate, fields)),
            "/mqtt/emqx/login": lambda fields: _json(mqtt_emqx.log_in_and_ask(gate, fields)),
            "/mqtt/emqx/acl": lambda fields: _unless_away(
                lambda: _json(mqtt_emqx.check(gate, fields)), _DENY
            ),
            "/mqtt/rmqtt/auth": lambda fields: _json(mqtt_rmqtt.log_in(gate, fields)),
            "/mqtt/rmqtt/login": lambda fields: _json(mqtt_rmqtt.log_in_and_ask(gate, fields)),
            "/mqtt/rmqtt/acl": lambda fields: _unless_away(
                lambda: _text(mqtt_rmqtt.check(gate, fields)), "deny"
            ),
            "/mqtt/vernemq": lambda fields: _json(
                mqtt_vernemq.answer(gate, request.headers.get("vernemq-hook", ""), fields)
            ),
            "/mqtt/mosquitto/user": lambda fields: _status(mqtt_go_auth.log_in(gate, fields)),
            "/mqtt/mosquitto/superuser": lambda fields: _status(mqtt_go_auth.is_superuser(gate, fields)),
            "/mqtt/mosquitto/acl": lambda fields: _status(mqtt_go_auth.check(gate, fields)),
            "/mqtt/rabbitmq/user": lambda fields: _word(mqtt_rabbitmq.user(gate, fields)),
            "/mqtt/rabbitmq/vhost": lambda fields: _word(mqtt_rabbitmq.vhost(gate, fields)),
            "/mqtt/rabbitmq/resource": lambda fields: _word(mqtt_rabbitmq.resource(gate, fields)),
            "/mqtt/rabbitmq/topic": lambda fields: _word(mqtt_rabbitmq.topic(gate, fields)),
        }
        for path, answered in routes.items():
            view = self._view(answered)
            methods = ["GET", "POST", "PUT"]
            app.add_url_rule(path, f"hook {path}", view, methods=methods)
            app.add_url_rule(f"{path}/with/<secret>", f"hook {path} with", view, methods=methods)

    def _view(self, answered: Answered) -> Callable[..., Response]:
        def view(secret: str = "") -> Response:
            self._must_know(secret)
            return answered(_fields())

        return view

    def _must_know(self, in_path: str) -> None:
        """In constant time. Raises: Unauthorized."""
        bearer = request.headers.get("Authorization", "")
        given = (
            in_path
            or request.headers.get(HEADER, "")
            or (bearer.removeprefix(_BEARER) if bearer.startswith(_BEARER) else "")
            or request.args.get("secret", "")
        )
        if not hmac.compare_digest(given.encode(), self._secret):
            raise Unauthorized("the secret of the hooks is wanted")


_DENY: Final = {"result": "deny"}


def _fields() -> Fields:
    """Raises: BadRequest, TooLarge."""
    if (request.content_length or 0) > MOST_BYTES:
        raise TooLarge(f"a hook has at most {MOST_BYTES} bytes")
    said: dict[str, object] = dict(request.args.items())
    if request.mimetype == "application/x-www-form-urlencoded":
        said |= dict(request.form.items())
    elif request.method != "GET" and (raw := request.get_data()):
        try:
            said |= msgspec.json.decode(raw, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"neither JSON nor a form: {error}") from error
    return Fields(said, request.remote_addr or "")


def _unless_away(answered: Callable[[], Response], no: object) -> Response:
    """For engines that take an error for "ask somebody else": where the database is away, it is a no."""
    try:
        return answered()
    except Unavailable:
        return _text(no) if isinstance(no, str) else _json(no)


def _json(body: object, status: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(body), status, mimetype="application/json")


def _text(word: str) -> Response:
    return Response(word, mimetype="text/plain")


def _word(allowed: bool) -> Response:
    return _text("allow" if allowed else "deny")


def _status(allowed: bool) -> Response:
    if allowed:
        return _json({"ok": True, "error": ""})
    return _json({"ok": False, "error": "not allowed"}, HTTPStatus.FORBIDDEN)
