"""The catalogue: the environments that callers may launch by name, and the sizes of their servers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import Content, LaunchRequest
from hublaunch.launch.rules.content import check_content
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.policy import image_patterns
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import Rule
from hublaunch.launch.rules.warm import Warm

ContentMode = Literal["nbgitpuller", "spawner", "none"]
"""How the files of the repository get into the server: by nbgitpuller, by the spawner, or not at all."""
Texts = Mapping[str, str]
"""A text by language tag, such as `de`; under `""` if it is the same in all languages."""

NAME_MAX = 64
_ALIKE = 0.6
"""The least similarity, up to 1, at which a known name is suggested for a misspelled one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """A size of server: the `user_options` that the spawner gets for it."""

    name: str
    title: Texts
    user_options: Mapping[str, Any] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    """The Hub groups whose members may have this size; empty for everybody."""
    most: int | None = None
    """The maximum number of active launches of this size, over all callers; None for no limit."""

    def is_for(self, caller: Caller) -> bool:
        """Return whether the caller may have this size. An invitation that names sizes allows no others."""
        named = caller.invitation.sizes if caller.invitation is not None else ()
        if named and self.name not in named:
            return False
        return not self.groups or not self.groups.isdisjoint(caller.groups)


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An image under a name, with everything that a launch of it needs."""

    name: str
    title: Texts
    image: str
    description: Texts = field(default_factory=dict)
    content: ContentMode = "none"
    open: str = ""
    """The path that a launch opens if the request has none."""
    sizes: tuple[Size, ...] = ()
    """The sizes to choose from. Without any, the spawner decides."""
    groups: frozenset[str] = frozenset()
    """The Hub groups whose members may launch it; empty for everybody."""
    warm: Warm | None = None
    """The servers that are kept ready for it; None for none."""

    def for_caller(self, caller: Caller) -> "Environment | None":
        """Return the environment with the sizes that the caller may have; None if they may not launch it at all.

        An API key that lists environments may launch just these, and so may an invitation. A key with image patterns
        may launch the environments whose images match. Groups are for Hub users; a key or an invitation gets into an
        environment with groups by listing its name.
        """
        if not self._is_for(caller):
            return None
        sizes = tuple(size for size in self.sizes if size.is_for(caller))
        return replace(self, sizes=sizes) if sizes or not self.sizes else None

    def _is_for(self, caller: Caller) -> bool:
        if caller.environments is not None:
            return self.name in caller.environments
        if self.groups and self.groups.isdisjoint(caller.groups):
            return False
        return caller.allowed_images is None or self._matches(caller.allowed_images)

    def _matches(self, patterns: tuple[str, ...]) -> bool:
        image = ImageReference.parse(self.image)
        return any(pattern.matches(image) for pattern in image_patterns(patterns))


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything that this service offers by name."""

    environments: tuple[Environment, ...] = ()
    sizes: tuple[Size, ...] = ()

    def offered(self, caller: Caller) -> Sequence[Environment]:
        """Return the environments that the caller may launch, each with the sizes that the caller may have."""
        return [found for each in self.environments if (found := each.for_caller(caller))]

    @property
    def quota_rules(self) -> Sequence[tuple[Scope, Rule]]:
        """The quotas of the sizes."""
        return [
            (Scope.SIZE, Rule.parse(Scope.SIZE, size.name, most=size.most))
            for size in self.sizes
            if size.most is not None
        ]

    def resolve(self, request: LaunchRequest, caller: Caller) -> LaunchRequest:
        """Return the request with the image, the size, the content and the path that its environment stands for.

        A request for an image is returned unchanged. Raises InvalidRequest. An environment or a size that the caller
        may not have is refused like an unknown one, so that the answer does not reveal it.
        """
        if taken := {key for size in self.sizes for key in size.user_options}.intersection(request.extra_args):
            raise InvalidRequest("extra_args", f"must have none of the keys that sizes set: {', '.join(sorted(taken))}")
        if not request.environment:
            return request
        environment = self._environment(request.environment, caller)
        size = _size(request.size, environment)
        resolved = replace(
            request,
            image=environment.image,
            size=size.name if size else "",
            size_options=size.user_options if size else {},
        )
        if environment.content == "none" or not request.repo_url:
            return replace(resolved, path=request.path or environment.open)
        resolved = replace(resolved, content=Content(environment.content), opens=environment.open)
        check_content(resolved)
        return resolved

    def _environment(self, name: str, caller: Caller) -> Environment:
        if not self.environments:
            raise InvalidRequest(
                "environment",
                "cannot be chosen, because this service has no catalogue; send `image` instead",
                operator_advice="LAUNCHER_CATALOGUE_FILE names the file of the catalogue.",
            )
        offered = {each.name: each for each in self.offered(caller)}
        if name not in offered:
            raise InvalidRequest("environment", f"you may launch no environment of this name{_meant(name, offered)}")
        return offered[name]


def _size(name: str, environment: Environment) -> Size | None:
    """Return the size of this name, or the first size if `name` is empty; None if the environment has no sizes."""
    sizes = {size.name: size for size in environment.sizes}
    if not name:
        return next(iter(environment.sizes), None)
    if not sizes:
        raise InvalidRequest("size", "cannot be chosen for this environment, which has no sizes")
    if name not in sizes:
        raise InvalidRequest("size", f"this environment offers you no size of this name{_meant(name, sizes)}")
    return sizes[name]


def _meant(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests the most similar known name; `""` if none is similar."""
    found = get_close_matches(name[:NAME_MAX], list(known), n=1, cutoff=_ALIKE)
    return f". Did you mean {found[0]}?" if found else ""


def in_language(texts: Texts, languages: Sequence[str]) -> str:
    """Return the text in the first of the reader's languages that it has, otherwise its first text; `""` without any.

    A text in `de` serves a reader of `de-CH`, as in the lookup of RFC 4647 §3.4.
    """
    by_tag = {tag.lower(): text for tag, text in texts.items()}
    for language in languages:
        tag = language.lower()
        while tag:
            if tag in by_tag:
                return by_tag[tag]
            tag = tag.rpartition("-")[0]
    return next(iter(texts.values()), "")
