"""The files generated from the code: settings, `.env.example`, the tables of problems, and the API as OpenAPI.

`make docs` writes them; a test compares them with the code.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from helm.generate import secret_settings
from hublaunch.api.problems.types import HTTP_PROBLEMS, STATUS
from hublaunch.files.catalogue import catalogue_schema
from hublaunch.launch.errors import HubError, LaunchError, SpawnError
from hublaunch.launch.problem import Problem
from hublaunch.main import create_app
from hublaunch.settings import HUB_VARIABLES, PREFIX, TOPICS, Settings

DOCS = Path(__file__).parent
_INTRODUCTION = """# Settings

*Generated from [the settings' code](../app/hublaunch/settings/settings.py) by `make docs`; change it there.*

Each setting is an environment variable, or a line in `.env`; the environment wins. The [chart](../helm/README.md) has
them under `settings`, in lower case and without `LAUNCHER_`. An empty variable counts as not set. Lists are JSON, or
words separated by commas; objects are JSON. An invalid value stops startup with an error that names the variable, and
so does a misspelled name (`LAUNCHER_ALOWED_IMAGES`); `hublaunch doctor` reports both. If JupyterHub starts hublaunch,
some defaults [come from the Hub](hub-managed.md#settings-that-the-hub-provides).

*secret* marks a setting that belongs in a Secret rather than a ConfigMap. Keep it out of files that others can read.
"""
_ENV_INTRODUCTION = """# Settings of hublaunch, made from app/hublaunch/settings/topics by `make docs`.
# Copy this file to .env and change it; environment variables win over it.
# A commented line shows the default, unless it is marked as an example. Lists are JSON, or words separated by commas.
"""
_TO_SET = ("hub_url", "hub_api_token", "allowed_images")
"""Settings that every operator has to set."""
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_FORMATS = {"file-path": "file", "path": "file"}
_BOUNDS = {"minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}"}


def generated() -> dict[Path, str]:
    """Return the text that each generated file must have."""
    return {
        DOCS / "settings.md": _settings(),
        DOCS.parent / ".env.example": _env_example(),
        DOCS / "openapi.json": _openapi(),
        DOCS / "catalogue.schema.json": json.dumps(catalogue_schema(), indent=2) + "\n",
        DOCS / "failures.md": _failures(),
    }


def _openapi() -> str:
    """Return the API with every path that a setting can switch on."""
    settings = Settings(
        hub_url="https://hub.example.org",
        hub_api_token="t" * 32,
        access=("anonymous", "hub", "key"),
        prefix="",
    )
    return json.dumps(create_app(settings).openapi(), indent=1, ensure_ascii=False) + "\n"


def _failures() -> str:
    """Return the page with its four tables up to date."""
    others = {kind for kind in STATUS if issubclass(kind, HubError | SpawnError)}
    tables = iter(
        [
            _rows((status, kind) for kind, status in STATUS.items() if kind not in others),
            _rows(HTTP_PROBLEMS.items()),
            _rows((status, kind) for kind, status in STATUS.items() if issubclass(kind, HubError)),
            _rows((None, kind) for kind in STATUS if issubclass(kind, SpawnError)),
        ]
    )
    return re.sub(r"(?m)(?:^\| `.*\n)+", lambda _: next(tables), (DOCS / "failures.md").read_text())


def _rows(problems: Iterable[tuple[int | None, Problem | type[LaunchError]]]) -> str:
    """Return a row for each code, with the status where there is one."""
    rows = {}
    for status, problem in problems:
        shown = f"{status} | " if status else ""
        for_operators = f" {problem.operator_advice} |" if problem.operator_advice else " |"
        rows[problem.code] = f"| `{problem.code}` | {shown}{problem.title} | {problem.advice} |{for_operators}\n"
    return "".join(rows.values())


def _settings() -> str:
    described, secret = Settings.model_json_schema()["properties"], secret_settings()
    parts = [_INTRODUCTION]
    for topic in TOPICS:
        heading, pages = _heading(topic)
        links = f"\nSee {', '.join(f'[{page}]({page})' for page in pages)}.\n" if pages else ""
        rows = [
            _row(name, field, described[name], is_secret=name in secret) for name, field in topic.model_fields.items()
        ]
        parts.append(
            "\n".join([f"## {heading}", links, "| setting | value | default | |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _heading(topic: type[BaseModel]) -> tuple[str, list[str]]:
    """Return the heading of a topic, and the pages that its docstring names."""
    heading, _, pages = (inspect.getdoc(topic) or "").rstrip(".").partition(": ")
    return heading, [page.removeprefix("docs/") for page in pages.split(", ") if page]


def _row(name: str, field: FieldInfo, told: Mapping[str, Any], *, is_secret: bool) -> str:
    default = "*required*" if field.is_required() else _code(_written(field.default))
    value = _value(told) + (", *secret*" if is_secret else "")
    text = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", _description(name, field)).replace("|", "\\|")
    if example := _example(field):
        text += f" Example: {_code(example)}"
    return f"| `{PREFIX}{name.upper()}` | {value} | {default} | {text} |"


def _description(name: str, field: FieldInfo) -> str:
    description = " ".join((field.description or "").split())
    if variable := HUB_VARIABLES.get(name):
        description += f" The default under JupyterHub is {variable}."
    return description


def _example(field: FieldInfo) -> str:
    return str(field.examples[0]) if field.examples else ""


def _env_example() -> str:
    lines = [_ENV_INTRODUCTION]
    for topic in TOPICS:
        heading, pages = _heading(topic)
        see = f": {', '.join(f'docs/{page}' for page in pages)}" if pages else ""
        lines.append(f"# --- {heading}{see} ---\n")
        for name, field in topic.model_fields.items():
            default = "" if field.is_required() else _written(field.default)
            shown, mark = default or _example(field), "" if name in _TO_SET else "# "
            text = _description(name, field) + (" For\N{NO-BREAK SPACE}example:" if mark and shown != default else "")
            described = fill(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
            described = described.replace("\N{NO-BREAK SPACE}", " ")
            lines.append(f"{described}\n{mark}{PREFIX}{name.upper()}={shown}\n")
    return "\n".join(lines)


def _value(told: Mapping[str, Any]) -> str:
    """Return the kind of value, with its bounds."""
    kind = next(one for one in told.get("anyOf", [told]) if one.get("type") != "null")
    if "prefixItems" in kind:
        return "`NUMBER/SECONDS` or `off`"
    if "enum" in kind:
        return ", ".join(_code(one) for one in kind["enum"])
    if kind["type"] == "array":
        return "list"
    if kind["type"] == "object":
        return "JSON object"
    bounds = [words.format(f"{kind[name]:g}") for name, words in _BOUNDS.items() if name in kind]
    if "minLength" in kind and kind["minLength"] > 1:
        bounds.append(f"at least {kind['minLength']} characters")
    return ", ".join([_FORMATS.get(kind.get("format", "")) or _KINDS[kind["type"]], *bounds])


def _written(default: object) -> str:
    """Return a default as `.env` has it."""
    match default:
        case None:
            text = ""
        case bool():
            text = str(default).lower()
        case float():
            text = f"{default:.10g}"
        case (int(), int()):
            text = "/".join(map(str, default))
        case tuple():
            text = ",".join(map(str, default))
        case dict():
            text = json.dumps(default) if default else ""
        case _:
            text = str(default)
    return text


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def main() -> None:
    """Write the files that are out of date, and print their names."""
    for path, text in generated().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
