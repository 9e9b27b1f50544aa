"""The operator's quotas, in a YAML or JSON file that may change while the service runs."""

from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule

_SIZE_MAX = 1024 * 1024
_RULES_MAX = 1000


class LimitsFault(FileFault):
    """The limits file cannot be used."""


def _until(value: object) -> datetime | None:
    """Return the instant; a date means the end of that day in UTC."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2026-05-20") else datetime.fromisoformat(value)
        except ValueError:
            value = ""
    try:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value + timedelta(days=1), time(), UTC)
    except OverflowError:
        value = ""
    if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
        return value
    raise ValueError("must be a date, or a time with its zone, such as 2026-05-20 or 2026-05-20T18:00:00+02:00")


_Number = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    match: Annotated[str, Field(strict=True)]
    most: _Number
    together: Annotated[bool, Field(strict=True)] = False
    until: Annotated[datetime | None, BeforeValidator(_until)] = None


_Rules = Annotated[tuple[_Rule, ...], Field(max_length=_RULES_MAX)]


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    total: _Number | None = None
    callers: _Rules = ()
    repositories: _Rules = ()
    images: _Rules = ()


class LimitsFile(WatchedFile[QuotaRules]):
    """The quotas in a file. While the file cannot be used, the previous quotas apply."""

    def __init__(self, path: Path) -> None:
        """Read the quotas. Raises LimitsFault if the file cannot be used."""
        super().__init__(
            path,
            read_limits,
            describe=lambda quotas: f"rules: {len(quotas.rules)}, total: {quotas.total}",
            while_unusable=lambda quotas: quotas,
            consequence="Until this is fixed, the previous limits apply.",
        )

    def report(self) -> dict[str, Any]:
        """Return the number of rules that apply, and why the file cannot be used, if so."""
        return {"rules": len(self.content.rules), "fault": self.fault}


def read_limits(path: Path) -> QuotaRules:
    """Return the quotas in the file. Raises LimitsFault if it cannot be read or parsed."""
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_MAX + 1).decode()
    except OSError as error:
        raise LimitsFault(f"The limits in {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise LimitsFault(f"The limits in {path} are not UTF-8. Restore the file.") from error
    if len(text) > _SIZE_MAX:
        raise LimitsFault(f"The limits in {path} are longer than 1 MiB. Shorten the file.")
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise LimitsFault(f"The limits in {path} are neither YAML nor JSON: {_yaml_reason(error)}.") from None
    except RecursionError:
        raise LimitsFault(f"The limits in {path} are nested too deeply. Remove brackets or indentation.") from None
    try:
        return _limits_of(_Content.model_validate(content))
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        reason = fault["msg"].removeprefix("Value error, ")
        raise LimitsFault(f"The limits in {path} are invalid: {place}: {reason}.") from None
    except ValueError as error:
        raise LimitsFault(f"The limits in {path} are invalid: {error}.") from None


def _limits_of(content: _Content) -> QuotaRules:
    """Return the rules. Raises ValueError for an invalid pattern."""
    sections = {
        "callers": (Scope.CALLER, content.callers),
        "repositories": (Scope.REPOSITORY, content.repositories),
        "images": (Scope.IMAGE, content.images),
    }
    rules = []
    for section, (scope, given) in sections.items():
        for number, rule in enumerate(given):
            try:
                parsed = Rule.parse(scope, rule.match, most=rule.most, together=rule.together, until=rule.until)
            except ValueError as error:
                raise ValueError(f"{section}.{number}.match: {error}") from None
            rules.append((scope, parsed))
    return QuotaRules(total=content.total, rules=tuple(rules))


class _Loader(yaml.SafeLoader):
    """Refuses a repeated key: YAML would keep the last one, and lose the limits under the first.

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
