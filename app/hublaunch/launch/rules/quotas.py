"""Quotas: how many launches may be active at once, of one caller, for one repository, of one image, and in all.

Active is what is under way or ready. What is one is decided here by names: a caller is as the queue has them, a
repository is one in upper and lower case, and an image is one with all of its tags and digests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Self

from hublaunch.launch.model import Caller, LaunchRequest
from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.image import ImagePattern, ImageReference
from hublaunch.launch.rules.networks import caller_name, groups_of
from hublaunch.launch.rules.repo import RepoPattern, repo_name


class Scope(StrEnum):
    """What launches are counted by."""

    CALLER = "caller"
    REPOSITORY = "repository"
    IMAGE = "image"
    TOTAL = "total"


def counted_as(caller: Caller, request: LaunchRequest) -> Mapping[Scope, str]:
    """The names by which a launch is counted. A launch without a repository is counted for none."""
    image = ImageReference.parse(request.image)
    names = {
        Scope.CALLER: caller_name(caller.kind, caller.key),
        Scope.IMAGE: f"{image.registry}/{image.repository}",
    }
    if request.repo_url:
        names[Scope.REPOSITORY] = repo_name(request.repo_url).lower()
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """At most so many active launches of one name, of a network of callers, of a pattern's names, or else in all."""

    scope: Scope
    most: int
    name: str | None = None
    network: str | None = None
    """As `networks.py` names it."""
    pattern: str | None = None

    @property
    def is_of_several(self) -> bool:
        """Whether launches of several names count together."""
        return self.network is not None or self.pattern is not None

    def counts(self, name: str) -> bool:
        """Whether launches of this name count."""
        if self.network is not None:
            return any(group.name == self.network for group in groups_of(name))
        return name == self.name or (self.pattern is not None and _matches(self.scope, self.pattern, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A number for what a pattern matches: for each name by itself, or for all of them together."""

    pattern: str
    most: int
    together: bool = False
    until: datetime | None = None
    """From then on it is as if it were not there."""

    @classmethod
    def parse(
        cls, scope: Scope, pattern: str, *, most: int, together: bool = False, until: datetime | None = None
    ) -> Self:
        """ValueError says what keeps the pattern from being one."""
        _matches(scope, pattern, _EXAMPLE)
        return cls(pattern=pattern, most=most, together=together, until=until)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The operator's numbers. Of the rules of one scope the first that matches, and is not over, decides alone.

    A number for each caller by itself is one for the networks around the caller too, as often as those count.
    """

    total: int | None = None
    rules: tuple[tuple[Scope, Rule], ...] = ()

    def quotas(self, caller: Caller, request: LaunchRequest, *, at: datetime) -> tuple[Quota, ...]:
        """What such a launch has to keep to at this time, an API key's own number among it."""
        names, quotas = counted_as(caller, request), []
        if caller.max_active is not None:
            quotas.append(Quota(scope=Scope.CALLER, most=caller.max_active, name=names[Scope.CALLER]))
        for scope, name in names.items():
            rule = self._rule(scope, name, at)
            if rule is not None and rule.together:
                quotas.append(Quota(scope=scope, most=rule.most, pattern=rule.pattern))
            elif rule is not None:
                quotas.append(Quota(scope=scope, most=rule.most, name=name))
                networks = groups_of(name)[1:] if scope is Scope.CALLER else ()
                quotas += [Quota(scope=scope, most=rule.most * one.share, network=one.name) for one in networks]
        if self.total is not None:
            quotas.append(Quota(scope=Scope.TOTAL, most=self.total))
        return tuple(quotas)

    def _rule(self, scope: Scope, name: str, at: datetime) -> Rule | None:
        for of_scope, rule in self.rules:
            if of_scope is scope and (rule.until is None or at < rule.until) and _matches(scope, rule.pattern, name):
                return rule
        return None


_EXAMPLE = "example.org/a"


def _matches(scope: Scope, pattern: str, name: str) -> bool:
    if scope is Scope.IMAGE:
        registry, _, repository = name.partition("/")
        image = ImageReference(registry=registry, repository=repository, tag=None, digest=None)
        return _image_pattern(pattern).matches(image)
    if scope is Scope.REPOSITORY:
        return _repo_pattern(pattern).allows(name)
    return _caller_pattern(pattern).matches(name)


@lru_cache(maxsize=4096)
def _image_pattern(pattern: str) -> ImagePattern:
    parsed = ImagePattern.parse(pattern)
    if parsed.tag is not None or parsed.digest is not None:
        raise ValueError("must have neither tag nor digest, as an image counts with all of them")
    return parsed


@lru_cache(maxsize=4096)
def _repo_pattern(pattern: str) -> RepoPattern:
    return RepoPattern.parse(pattern.lower())


@lru_cache(maxsize=4096)
def _caller_pattern(pattern: str) -> Glob:
    return Glob(pattern)
