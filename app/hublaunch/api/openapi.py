"""The app's OpenAPI document, in a form from which generators make readable clients."""

import json
import re
from collections.abc import Generator, Iterable
from operator import itemgetter
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_REF = re.compile(r'(?<="#/components/schemas/)\w+(?=")')


class DescribedApp(FastAPI):
    """An app below a prefix whose OpenAPI document has the prefix as server, and the data of events as schemas."""

    def __init__(self, *, prefix: str, events: Iterable[type[BaseModel]], **options: Any) -> None:
        """`prefix` is decoded, as in routes. `servers` in the options has its URL. `events` are the data of events."""
        self._prefix = prefix
        self._events = tuple(events)
        super().__init__(openapi_url=f"{prefix}/openapi.json", **options)

    def openapi(self) -> dict[str, Any]:
        """Return the document. It is made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"] |= _event_schemas(self._events)
            self.openapi_schema = _described(document, self._prefix)
        return self.openapi_schema


def _event_schemas(events: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the schemas of events, with those that they refer to."""
    _, schemas = models_json_schema(
        [(model, "serialization") for model in events], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    return found


def _described(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return FastAPI's document with paths below the server, and without titles that repeat a name.

    A schema has the title of its model as its name, so that a generated client has `Launch` instead of the name of the
    class that describes it here.
    """
    document["paths"] = {path.removeprefix(prefix): operations for path, operations in document["paths"].items()}
    for parameter in _parameters(document):
        parameter["schema"] = _cleaned(_without_null(parameter["schema"]))
    schemas = document["components"]["schemas"]
    names = {name: schema["title"] for name, schema in schemas.items()}
    document["components"]["schemas"] = {
        title: _cleaned(schemas[name]) for name, title in sorted(names.items(), key=itemgetter(1))
    }
    described: dict[str, Any] = json.loads(_REF.sub(lambda found: names[found[0]], json.dumps(document)))
    return described


def _parameters(document: dict[str, Any]) -> Generator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from operation.get("parameters", ())


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which can be absent, but never null."""
    match schema.get("anyOf"):
        case [value, {"type": "null"}]:
            return {**value, **{key: told for key, told in schema.items() if key != "anyOf"}}
    return schema


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without titles, which pydantic makes from the names of fields, and without null as default."""
    cleaned = {key: told for key, told in schema.items() if key != "title" and (key, told) != ("default", None)}
    for key in ("items", "additionalProperties"):
        if isinstance(inner := cleaned.get(key), dict):
            cleaned[key] = _cleaned(inner)
    if "anyOf" in cleaned:
        cleaned["anyOf"] = [_cleaned(inner) for inner in cleaned["anyOf"]]
    if "properties" in cleaned:
        cleaned["properties"] = {name: _cleaned(inner) for name, inner in cleaned["properties"].items()}
    return cleaned
