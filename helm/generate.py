"""The generated files of the chart: the schema of the values, the Hub's check of images, the README's table.

`make chart` writes them; a test compares them with the code.
"""

import json
import re
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from helm.wall import wall
from hublaunch.files.catalogue import catalogue_schema
from hublaunch.settings import PREFIX, Settings

CHART = Path(__file__).parent
DOCS = CHART.parent / "docs"
COPIED = ("alerts.yaml", "grafana.json")
"""Files of `docs/` of which the chart needs a copy of its own."""
_SECRET_IN_PART = frozenset({"database_url"})
"""Settings that are not secrets themselves, but can contain one."""
_LEFT_OUT = frozenset({"default", "description", "examples", "format", "title", "writeOnly"})
_BEGIN, _END = "<!-- values: `make chart` writes what follows -->", "<!-- end of the values -->"


def generated() -> dict[Path, str]:
    """Return the text that each generated file must have."""
    copies = {CHART / "files" / name: (DOCS / name).read_text() for name in COPIED}
    secret = json.dumps(sorted(secret_settings())) + "\n"
    schema, readme = CHART / "values.schema.json", CHART / "README.md"
    return {
        schema: _schema(schema.read_text()),
        readme: _readme(readme.read_text(), (CHART / "values.yaml").read_text()),
        CHART / "files" / "secret-settings.json": secret,
        CHART / "files" / "hub-wall.txt": wall(),
        CHART / "files" / "hub-content.txt": _hub_content(),
        **copies,
    }


def _hub_content() -> str:
    """Return the Hub's part of content without the notes for this repository's linter."""
    return re.sub(r"  # noqa: .*", "", (CHART / "hub_content.py").read_text())


def secret_settings() -> frozenset[str]:
    """Return the names of the settings that belong in a Secret."""
    return frozenset(name for name, told in _settings() if name in _SECRET_IN_PART or "writeOnly" in json.dumps(told))


def _settings() -> Iterable[tuple[str, Mapping[str, Any]]]:
    described: Mapping[str, Mapping[str, Any]] = Settings.model_json_schema()["properties"]
    return described.items()


def _schema(text: str) -> str:
    """Return the schema with every setting in it; the rest of the schema is written by hand."""
    schema = json.loads(text)
    public, secret = {}, {}
    for name, told in _settings():
        if name in secret_settings():
            secret[name] = _value(name, told)
            # Accepted here, so that the chart itself can say where it belongs.
            public[name] = {"description": f"Secret: belongs in secretSettings.{name}, or an existingSecret."}
        else:
            public[name] = _value(name, told)
    schema["properties"]["settings"]["properties"] = public
    schema["properties"]["secretSettings"]["properties"] = secret
    catalogue = catalogue_schema()
    schema["$defs"] = catalogue.pop("$defs")
    schema["properties"]["catalogue"] = {key: told for key, told in catalogue.items() if key not in ("$schema", "$id")}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _value(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one setting: its type, or null, which means not set."""
    description = " ".join((Settings.model_fields[name].description or "").split())
    kind = next(one for one in told.get("anyOf", [told]) if one.get("type") != "null")
    if "prefixItems" in kind:  # written as text, such as 600/60
        kind = {"type": "string"}
    value: dict[str, Any] = {key: _plain(given) for key, given in kind.items() if key not in _LEFT_OUT}
    value["type"] = [value["type"], "null"]
    if "enum" in value:
        value["enum"] = [*value["enum"], None]
    return {"description": f"{PREFIX}{name.upper()}: {description}", **value}


def _plain(given: object) -> object:
    """Return the schema without formats, which validators read in different ways; hublaunch checks them itself."""
    if not isinstance(given, dict):
        return given
    if "anyOf" in given:
        return {"type": "string"}
    return {key: _plain(value) for key, value in given.items() if key not in ("format", "writeOnly")}


def _readme(text: str, values: str) -> str:
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    rows = [f"| `{path}` | `{default}` | {comment} |" for path, default, comment in _rows(values)]
    table = "\n".join(["| value | default | |", "|---|---|---|", *rows])
    return f"{text[:begin]}\n\n{table}\n\n{text[end:]}"


def _rows(text: str) -> Generator[tuple[str, str, str]]:
    """Yield the path, the default and the comment of each value that has a comment or no values below it.

    A value with a comment and values below it has `…` as its default.
    """
    values, path, comment = yaml.safe_load(text), list[tuple[int, str]](), list[str]()
    for line in text.splitlines():
        if found := re.fullmatch(r"( *)# ?(.*)", line):
            comment.append(found[2])
            continue
        if found := re.match(r"( *)([\w-]+):", line):
            indent = len(found[1])
            path = [*((at, name) for at, name in path if at < indent), (indent, found[2])]
            default = values
            for _, name in path:
                default = default[name]
            has_more = isinstance(default, dict) and bool(default)
            if comment or not has_more:
                shown = "…" if has_more else json.dumps(default, ensure_ascii=False)
                yield ".".join(name for _, name in path), shown, " ".join(comment).replace("|", "\\|")
        comment = []


def main() -> None:
    """Write the files that are out of date, and print their names."""
    for path, text in generated().items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(CHART.parent)}\n")


if __name__ == "__main__":
    main()
