"""The OpenAPI document: what SpecTree wrote down of the routes, with what it has no words for."""

import copy
from typing import Any

from flask import Flask
from spectree import SpecTree
from spectree.model_adapter.msgspec_adapter import MsgspecModelAdapter
from spectree.model_adapter.protocol import SchemaMode

from pabal.ids import DEVICE_PATTERN, USER_PATTERN
from webapi.problems import MIME
from webapi.schemas import CONV_OR_USER_PATTERN, Problem

_PATTERNS = {
    "user": USER_PATTERN,
    "device": DEVICE_PATTERN,
    "conv": CONV_OR_USER_PATTERN,
    "code": r"^[A-Za-z0-9_-]{1,32}$",
    "message_id": "^[1-9][0-9]{0,14}$",
    "emoji": "^[^/.\\u0000]{1,32}$",
}
_DOWNLOADS = {"export_account": "application/zip"}
_FIRST_REFUSAL = 400
_TELLS_WHEN = {"429", "503"}


class _Schemas(MsgspecModelAdapter):
    """SpecTree asks for the schema of a type once for each route and answer that has it, five hundred times in all, and
    takes a copy. Made each time, they were half of what an application took to begin.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[tuple[type[Any], str], dict[str, Any]] = {}

    def json_schema(
        self, model: type[Any], *, ref_template: str, mode: SchemaMode = "validation"
    ) -> dict[str, Any]:
        made = self._made.get((model, ref_template))
        if made is None:
            made = super().json_schema(model, ref_template=ref_template, mode=mode)
            self._made[model, ref_template] = made
        return made


# Any, because SpecTree's own adapters are not what it says that it takes.
_SCHEMAS: Any = _Schemas()


def new_spec(version: str) -> SpecTree:
    return SpecTree(
        "flask",
        model_adapter=_SCHEMAS,
        annotations=False,
        mode="strict",
        validation_error_model=Problem,
        naming_strategy=lambda model: model.__name__,
        nested_naming_strategy=lambda _parent, child: child,
        title="Pabal",
        description="A chat server in which any MQTT client is a chat client: its REST calls.",
        version=version,
    )


def describe(app: Flask, spec: SpecTree) -> dict[str, Any]:
    """The document of all routes that were registered."""
    with app.app_context():
        document: dict[str, Any] = copy.deepcopy(spec.spec)
    document["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token, or a device secret.",
        }
    }
    document["security"] = [{"bearer": []}]
    for calls in document["paths"].values():
        for call in calls.values():
            _complete(call)
    return document


def _complete(call: dict[str, Any]) -> None:
    for parameter in call["parameters"]:
        if parameter["in"] == "path":
            parameter["schema"] = {"type": "string", "pattern": _PATTERNS[parameter["name"]]}
    if call["operationId"] in _DOWNLOADS:
        content = {"schema": {"type": "string", "format": "binary"}}
        call["responses"]["200"]["content"] = {_DOWNLOADS[call["operationId"]]: content}
    for status, answer in call["responses"].items():
        if int(status) >= _FIRST_REFUSAL:
            answer["content"] = {MIME: next(iter(answer["content"].values()))}
        if status in _TELLS_WHEN:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        if status == "401":
            answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
