"""A quota: how many active launches there may be of one caller, repository, image or size, or in total.

A launch is active while it is in progress or ready.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.image import ImagePattern, ImageReference
from hublaunch.launch.rules.networks import groups_of
from hublaunch.launch.rules.repo import RepoPattern


class Scope(StrEnum):
    """The property by which a quota counts launches."""

    CALLER = "caller"
    INVITATION = "invitation"
    REPOSITORY = "repository"
    IMAGE = "image"
    SIZE = "size"
    TOTAL = "total"


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """At most `most` active launches of one name, of a network of callers, of the names of a pattern, or in total."""

    scope: Scope
    most: int
    name: str | None = None
    network: str | None = None
    """The network's name, see `networks.py`."""
    pattern: str | None = None

    @property
    def is_of_several(self) -> bool:
        """Whether the quota counts launches of several names together."""
        return self.network is not None or self.pattern is not None

    def counts(self, name: str) -> bool:
        """Return whether launches of this name count."""
        if self.network is not None:
            return any(group.name == self.network for group in groups_of(name))
        return name == self.name or (self.pattern is not None and matches(self.scope, self.pattern, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Active:
    """How many launches are active, as quotas count them."""

    total: int
    names: Mapping[Scope, Mapping[str, int]]
    """By the names of callers, repositories, images and sizes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaUse:
    """A quota that counts at least one active launch."""

    scope: Scope
    counts: str
    """The name or the pattern that it counts; `""` for the total."""
    active: int
    most: int


def matches(scope: Scope, pattern: str, name: str) -> bool:
    """Return whether the pattern matches this name. Raises ValueError with the reason if it is not a pattern."""
    if scope is Scope.IMAGE:
        registry, _, repository = name.partition("/")
        image = ImageReference(registry=registry, repository=repository, tag=None, digest=None)
        return _image_pattern(pattern).matches(image)
    if scope is Scope.REPOSITORY:
        return _repo_pattern(pattern).allows(name)
    return _glob(pattern).matches(name)


@lru_cache(maxsize=4096)
def _image_pattern(pattern: str) -> ImagePattern:
    parsed = ImagePattern.parse(pattern)
    if parsed.tag is not None or parsed.digest is not None:
        raise ValueError("must have neither tag nor digest, because an image is counted with all its tags and digests")
    return parsed


@lru_cache(maxsize=4096)
def _repo_pattern(pattern: str) -> RepoPattern:
    return RepoPattern.parse(pattern.lower())


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> Glob:
    return Glob(pattern)
