"""YAML and JSON files that operators write: read within bounds, and refused with the line of the first fault."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from hublaunch.files.watched import FileFault

T = TypeVar("T")

Place = Sequence[str | int]
"""The keys and numbers that lead from the top of a file to a value."""

_SIZE_MAX = 1024 * 1024


class InvalidValue(ValueError):
    """A value in a file is invalid, for the reason that `str()` gives."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def read_yaml(path: Path, convert: Callable[[Any], T], *, subject: str, fault: type[FileFault]) -> T:
    """Return the content of the file, converted by `convert`, which may raise ValidationError or InvalidValue.

    Raises the `fault`, with a sentence that begins with the `subject`, such as "The limits in limits.yaml are". A value
    that cannot be used is named with its line.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_MAX + 1).decode()
    except OSError as error:
        raise fault(f"{subject} unreadable: {error.strerror}.") from error
    except ValueError as error:
        raise fault(f"{subject} not UTF-8. Restore the file.") from error
    if len(text) > _SIZE_MAX:
        raise fault(f"{subject} longer than 1 MiB. Shorten the file.")
    try:
        node, content = _parsed(text)
    except yaml.YAMLError as error:
        raise fault(f"{subject} neither YAML nor JSON: {_yaml_reason(error)}.") from None
    except RecursionError:
        raise fault(f"{subject} nested too deeply. Remove brackets or indentation.") from None
    try:
        return convert(content)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]
        place, reason = found["loc"], found["msg"].removeprefix("Value error, ")
    except InvalidValue as error:
        place, reason = tuple(error.place), str(error)
    named = ".".join(str(step) for step in place if step != "[key]") or "the file"
    raise fault(f"{subject} invalid: line {_line_of(node, place)}: {named}: {reason}.")


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _line_of(node: yaml.Node | None, place: Place) -> int:
    """Return the line, from 1, of the innermost value on the way to this place."""
    line = 1
    for step in place:
        match node:
            case yaml.MappingNode():
                found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                found = (node.value[step], node.value[step])
            case _:
                found = None
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


class _Loader(yaml.SafeLoader):
    """Refuses a repeated key: YAML would keep the last one, and lose the values under the first.

    A value that YAML cannot construct, such as the date 2026-06-31, is reported with its line.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        seen = set[Hashable]()
        for key in keys:
            if not isinstance(key, Hashable):
                continue  # YAML refuses it below
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} appears twice", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "; ".join(str(error).split("\n"))
