"""The operator's limits on launches at once, in a YAML or JSON file that may change while the service runs."""

import asyncio
import logging
from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hublaunch.files.fingerprint import fingerprint
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule

log = logging.getLogger(__name__)

_EVERY_S = 5.0
_SIZE_MAX = 1024 * 1024
_RULES_MAX = 1000


class LimitsFault(Exception):
    """The limits cannot be used. `str()` names the file and says what to do."""


def _until(value: object) -> datetime | None:
    """A date is over at its end in UTC."""
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


class LimitsFile:
    """The limits in a file, looked at every few seconds; while they cannot be used, those from before hold."""

    def __init__(self, path: Path) -> None:
        """LimitsFault if they cannot be used from the start."""
        self._path = path
        self._seen = fingerprint(path)
        self._limits = read_limits(path)
        self._fault: str | None = None

    @property
    def limits(self) -> QuotaRules:
        return self._limits

    def report(self) -> dict[str, Any]:
        """How many rules hold, and why they are not those of the file, if they are not."""
        return {"rules": len(self._limits.rules), "fault": self._fault}

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read the file again if it has changed, or could not be used."""
        seen = fingerprint(self._path)
        if seen == self._seen and self._fault is None:
            return
        try:
            self._limits, self._fault = read_limits(self._path), None
        except LimitsFault as fault:
            if str(fault) != self._fault:
                log.error("%s Until then the limits from before hold.", fault)  # noqa: TRY400 - a sentence is what helps
            self._fault = str(fault)
        else:
            log.info("%s has changed: %d limits, total %s", self._path, len(self._limits.rules), self._limits.total)
        self._seen = seen


def read_limits(path: Path) -> QuotaRules:
    """The limits in the file; LimitsFault if it cannot be read or understood."""
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_MAX + 1).decode()
    except OSError as error:
        raise LimitsFault(f"The limits in {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise LimitsFault(f"The limits in {path} are not UTF-8: restore the file.") from error
    if len(text) > _SIZE_MAX:
        raise LimitsFault(f"The limits in {path} are longer than 1 MiB: shorten the file.")
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise LimitsFault(f"The limits in {path} are neither YAML nor JSON: {_yaml_reason(error)}.") from None
    except RecursionError:
        raise LimitsFault(f"The limits in {path} are nested too deeply: remove brackets or indentation.") from None
    try:
        return _limits_of(_Content.model_validate(content))
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        reason = fault["msg"].removeprefix("Value error, ")
        raise LimitsFault(f"The limits in {path} are not what they must be: {place}: {reason}.") from None
    except ValueError as error:
        raise LimitsFault(f"The limits in {path} are not what they must be: {error}.") from None


def _limits_of(content: _Content) -> QuotaRules:
    """ValueError for a pattern that is none."""
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
    """Refuses a key that is there twice: YAML would take the last, and the limits under the first would be lost.

    A value that YAML itself cannot make, such as the date 2026-06-31, is a fault of its line.
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
                continue  # which YAML refuses below
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "; ".join(str(error).split("\n"))
