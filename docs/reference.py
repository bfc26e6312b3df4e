"""Writes docs/reference.md from the OpenAPI document: `make docs`. A test compares the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.jobs.lifecycle import JobLifecycle
from shared.jobs.memory_store import MemoryJobStore
from shared.queue import MemoryDoorbell
from shared.storage.memory import MemoryObjectStore

PAGE: Final = Path(__file__).with_suffix(".md")
_HEAD: Final = """# API reference

Every route with its parameters, bodies and answers, and every object. This page is generated from the OpenAPI document
that the service serves at `/openapi.json`, by `make docs`; `/docs` there lets you try each route. What they are for and
how they go together is in [api.md](api.md), what to do about each code in [errors.md](errors.md).

Except where it says *open to all*, a route needs an API key where there are keys.
"""
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def document() -> dict[str, Any]:
    """Return the OpenAPI document, as an API over memory serves it."""
    settings, objects, store = Settings(), MemoryObjectStore(), MemoryJobStore(system_clock)
    desk = DeliveryDesk(MemoryDeliveryStore(system_clock), objects, settings, system_clock, lambda: 0.0)
    jobs = JobLifecycle(store, objects, MemoryDoorbell(), settings, system_clock)
    app = create_app(Services(jobs, desk, Waiters(store, places=1), settings))
    found: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return found


def page() -> str:
    """Return the page as the document is now."""
    described = document()
    parts = [_HEAD]
    for tag in described["tags"]:
        parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}\n")
        for path, operations in described["paths"].items():
            parts += [
                "\n".join(_operation(method, path, operations[method]))
                for method in _METHODS
                if tag["name"] in operations.get(method, {}).get("tags", ())
            ]
    parts.append("## Objects\n")
    schemas = sorted(described["components"]["schemas"].items())
    parts += ["\n".join(_object(name, schema)) for name, schema in schemas]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    text = re.sub(r"(<br/>)+", " ", operation.get("description", "")).strip()
    yield f"**{operation['summary']}.** {text}" + (" *Open to all.*" if not operation.get("security") else "") + "\n"
    if parameters := operation.get("parameters"):
        yield "| Parameter | In | Type | Default | |\n|---|---|---|---|---|"
        for parameter in parameters:
            schema = parameter["schema"]
            default = "required" if parameter.get("required") else _default(schema)
            yield _row(f"`{parameter['name']}`", parameter["in"], _type(schema), default, parameter.get("description"))
        yield ""
    named = {parameter["name"] for parameter in operation.get("parameters", ())}
    if contents := operation.get("requestBody", {}).get("content"):
        yield "| Body | Holds |\n|---|---|"
        for kind, content in contents.items():
            yield _row(f"`{kind}`", _body(content.get("schema", {}), named))
        yield ""
    yield "| Answer | |\n|---|---|"
    for status, answer in operation["responses"].items():
        yield _row(status, _answer(answer))
    yield ""


def _body(schema: dict[str, Any], named: set[str]) -> str:
    properties = schema.get("properties")
    if not properties:
        return _type(schema)
    own = [f"`{name}`: {_type(value)}" for name, value in properties.items() if name not in named]
    shared = [name for name in properties if name in named]
    return "; ".join(own) + ("; and the parameters above, as fields or members" if shared else "")


def _answer(answer: dict[str, Any]) -> str:
    contents = answer.get("content", {})
    shown = [f"`{kind}`: {_type(content.get('schema', {}))}" for kind, content in contents.items()]
    problem = "application/problem+json" in contents
    return answer["description"] if problem or not shown else f"{answer['description']}. " + ", ".join(shown)


def _object(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    if values := schema.get("enum"):
        yield ", ".join(f"`{value}`" for value in values) + "\n"
    if properties := schema.get("properties"):
        yield "| Member | Type | |\n|---|---|---|"
        for member, value in properties.items():
            yield _row(f"`{member}`", _type(value), value.get("description"))
        yield ""


def _type(schema: dict[str, Any]) -> str:
    """Return what a value may be, with its limits, as short as it goes."""
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(variant) for variant in variants))
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return "one of " * (len(values) > 1) + ", ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return " ".join(filter(None, [schema.get("format") or kind, _limits(schema)]))


def _limits(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low:g}–{high:g}"
    limits = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    shown = [f"{sign} {schema[name]:g}" for name, sign in limits.items() if name in schema]
    shown += [f"≤ {schema['maxLength']:,} characters"] if "maxLength" in schema else []
    return ", ".join(shown)


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _row(*cells: str | None) -> str:
    texts = [re.sub(r"(<br/>)+|\s+", " ", cell or "").replace("|", "\\|") for cell in cells]
    return "| " + " | ".join(texts) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
