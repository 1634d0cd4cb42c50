"""The description of all calls as one HTML page, without scripts and without anything from elsewhere."""

from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem;text-transform:capitalize}
section{border-top:1px solid #8885;padding:.75rem 0}
h3{margin:0;font:600 1rem ui-monospace,monospace}
h3 b{display:inline-block;min-width:4.5rem}
p{margin:.25rem 0}
table{border-collapse:collapse;margin:.5rem 0}
td{padding:.1rem 1rem .1rem 0;vertical-align:top}
code{font-family:ui-monospace,monospace}
pre{overflow-x:auto;border:1px solid #8885;border-radius:4px;padding:.5rem}
"""


def render(document: dict[str, Any]) -> str:
    """The page for this OpenAPI document."""
    by_tag: dict[str, list[str]] = {}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            by_tag.setdefault(call["tags"][0], []).append(_call(method, path, call))
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    groups = "".join(f"<h2>{escape(tag)}</h2>{''.join(calls)}" for tag, calls in by_tag.items())
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1>"
        f'<p>{escape(info.get("description", ""))} Machine-readable: <a href="/openapi.json">openapi.json</a>.'
        f"</p>{groups}<h2>Types</h2>{schemas}</html>"
    )


def _call(method: str, path: str, call: dict[str, Any]) -> str:
    rows = [
        _row(one["name"], f"{one['in']}{', required' if one.get('required') else ''}: {_type(one['schema'])}")
        for one in call.get("parameters", [])
    ]
    if body := call.get("requestBody"):
        rows.append(_row("body", _type(next(iter(body["content"].values()))["schema"])))
    for status, answer in call["responses"].items():
        content = next(iter(answer.get("content", {}).values()), None)
        told = answer["description"] if content is None else _type(content["schema"])
        rows.append(_row(status, told))
    words = " ".join(f"{call.get('summary', '')} {call.get('description', '')}".split())
    login = "" if call.get("security") == [] else " Needs a login."
    return (
        f"<section><h3><b>{escape(method.upper())}</b> {escape(path)}</h3>"
        f"<p>{escape(words)}{login}</p><table>{''.join(rows)}</table></section>"
    )


def _row(name: str, told: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(told)}</td></tr>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        _row(field, _type(kind) + ("" if field in required else ", optional"))
        for field, kind in schema.get("properties", {}).items()
    )
    return (
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{escape(schema.get('description', ''))}</p><table>{rows}</table></section>"
    )


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    words = [" | ".join(map(str, schema["enum"])) if "enum" in schema else str(schema.get("type", "any"))]
    words += [
        f"{key} {schema[key]}" for key in ("minimum", "maximum", "maxLength", "pattern") if key in schema
    ]
    return ", ".join(words)
