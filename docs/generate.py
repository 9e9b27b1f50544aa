"""Generates documentation from the code: the settings, the tables of problems, and the OpenAPI document.

`make docs` writes the files; a test checks that they are up to date.
"""

import inspect
import json
import re
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from helm.generate import secret_settings
from hublaunch.api.problems.types import HTTP_PROBLEMS, STATUS
from hublaunch.launch.errors import HubError, LaunchError, SpawnError
from hublaunch.launch.model import Problem
from hublaunch.main import create_app
from hublaunch.settings import PREFIX, Settings

DOCS = Path(__file__).parent
_INTRODUCTION = """# Settings

*Made from [the settings' code](../app/hublaunch/settings/__init__.py) by `make docs`; change it there.*

Each is a variable of the environment, or a line in `.env`; the environment wins. The [chart](../helm/README.md) has
them as `settings`, in lower case and without `LAUNCHER_`. An empty variable is as if it were not there. Lists are JSON
or words with commas, objects are JSON. An invalid value stops startup with an error that names the variable, and so
does a slip in a name (`LAUNCHER_ALOWED_IMAGES`); `hublaunch doctor` tells the same. Where the Hub itself starts
hublaunch, some have [another default](hub-managed.md#settings-that-the-hub-provides).

*secret* marks what belongs into a Secret rather than a ConfigMap, and into no file that others can read.
"""
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_FORMATS = {"file-path": "file", "path": "file"}
_BOUNDS = {"minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {}"}


def generated() -> dict[Path, str]:
    """The text that each generated file must have."""
    pages = {"settings.md": _settings(), "openapi.json": _openapi(), "failures.md": _failures()}
    return {DOCS / name: text for name, text in pages.items()}


def _openapi() -> str:
    """The API with every path that a setting can switch on."""
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
    for heading, names in _groups():
        rows = [_row(name, Settings.model_fields[name], described[name], is_secret=name in secret) for name in names]
        parts.append(
            "\n".join([f"## {heading}", "", "| setting | value | default | |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _groups() -> Generator[tuple[str, Sequence[str]]]:
    """The settings as the class has them, under the headings that its comments are."""
    for part in re.split(r"^ *# --- ", inspect.getsource(Settings), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition(" ---\n")
        names = re.findall(r"^    (\w+): ", body, flags=re.MULTILINE)
        yield heading[0].upper() + heading[1:], [name for name in names if name in Settings.model_fields]


def _row(name: str, field: FieldInfo, told: Mapping[str, Any], *, is_secret: bool) -> str:
    default = "*needed*" if field.is_required() else _code(_written(field.default))
    value = _value(told) + (", *secret*" if is_secret else "")
    title = (field.title or "").replace("|", "\\|")
    return f"| `{PREFIX}{name.upper()}` | {value} | {default} | {title} |"


def _value(told: Mapping[str, Any]) -> str:
    """What may stand there, with its bounds."""
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
    """A default as one would write it into `.env`."""
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
    """Write what is not up to date, and name it."""
    for path, text in generated().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    main()
