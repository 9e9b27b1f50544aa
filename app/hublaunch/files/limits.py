"""The operator's quotas, in a YAML or JSON file that may change while the service runs."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.files.yaml_file import InvalidValue, read_yaml
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule

_RULES_MAX = 1000


class LimitsFault(FileFault):
    """The limits file cannot be used."""


def until_of(value: object) -> datetime | None:
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
    until: Annotated[datetime | None, BeforeValidator(until_of)] = None


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
    return read_yaml(path, _limits_of, subject=f"The limits in {path} are", fault=LimitsFault)


def _limits_of(given: Any) -> QuotaRules:
    """Return the rules. Raises ValidationError, or InvalidValue for an invalid pattern."""
    content = _Content.model_validate(given)
    sections = {
        "callers": (Scope.CALLER, content.callers),
        "repositories": (Scope.REPOSITORY, content.repositories),
        "images": (Scope.IMAGE, content.images),
    }
    rules = []
    for section, (scope, of_scope) in sections.items():
        for number, rule in enumerate(of_scope):
            try:
                parsed = Rule.parse(scope, rule.match, most=rule.most, together=rule.together, until=rule.until)
            except ValueError as error:
                raise InvalidValue((section, number, "match"), str(error)) from None
            rules.append((scope, parsed))
    return QuotaRules(total=content.total, rules=tuple(rules))
