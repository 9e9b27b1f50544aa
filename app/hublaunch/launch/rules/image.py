"""Image references by their full names, as Docker reads them, and the patterns that allow them."""

import re
from dataclasses import dataclass
from typing import Self

from hublaunch.launch.rules.glob import Glob

IMAGE_MAX = 512

# https://github.com/distribution/reference: [domain/]path[:tag][@digest], but not the bare id of an image
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?![0-9a-f]{64}\Z)"
    rf"(?:{_HOST}(?::[0-9]+)?/)?{_PATH}(?:/{_PATH})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,})?"
)
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_BEFORE = "index.docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReference:
    """An image by its full name: `python` is `docker.io/library/python:latest`. All spellings of an image are equal."""

    registry: str
    """In lower case, with a port if one is named."""
    repository: str
    tag: str | None
    """`latest` if the image has neither tag nor digest."""
    digest: str | None
    """`sha256:…`. Container runtimes ignore a tag beside it."""

    @property
    def name(self) -> str:
        """`registry/repository`: the name that all tags and digests of the image share."""
        return f"{self.registry}/{self.repository}"

    @classmethod
    def parse(cls, image: str) -> Self:
        """Parse `[registry/]repository[:tag][@digest]`. Raises ValueError with a reason that does not repeat the text.

        As `ParseDockerRef` of https://github.com/distribution/reference, except that a tag beside a digest is kept.
        """
        if len(image) > IMAGE_MAX:
            raise ValueError(f"must have at most {IMAGE_MAX} characters")
        if not _IMAGE.fullmatch(image):
            raise ValueError("must be an image reference such as quay.io/jupyter/base-notebook:latest")
        name, tag, digest = _split(image)
        registry, repository = _locate(name)
        if tag is None and digest is None:
            tag = "latest"
        return cls(registry=registry, repository=repository, tag=tag, digest=digest)

    def __str__(self) -> str:
        # `Host/a` names a registry, `host/a` a repository on Docker Hub.
        registry = self.registry if _is_registry(self.registry) else self.registry.upper()
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{registry}/{self.repository}{tag}{digest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePattern:
    """A pattern for images, with wildcards in the parts of their full name.

    `python` is `docker.io/library/python` here too, and a first part `*` is any registry. `*` does not match beyond the
    registry, but matches `/` within a repository. `docker.io/*` is all of Docker Hub, and `*` is everything.
    """

    registry: Glob
    repository: Glob
    tag: Glob | None
    digest: Glob | None

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Parse a pattern. Raises ValueError with a reason."""
        name, tag, digest = _split(pattern)
        if "" in name.split("/"):
            raise ValueError("must have no empty part")
        registry, repository = _locate(name if name.strip("*") else "*/*")
        return cls(
            registry=Glob(registry),
            repository=Glob(repository),
            tag=None if tag is None else Glob(tag),
            digest=None if digest is None else Glob(digest),
        )

    def matches(self, reference: ImageReference) -> bool:
        """Return whether the pattern allows the image.

        A pattern with neither tag nor digest allows every tag and digest. A pattern with a digest requires a digest and
        ignores tags, as container runtimes do. A pattern with only a tag never allows an image with a digest, because
        the runtime would ignore the image's tag.
        """
        return (
            self.registry.matches(reference.registry)
            and self.repository.matches(reference.repository)
            and self._matches_version(reference)
        )

    def _matches_version(self, reference: ImageReference) -> bool:
        if self.digest is not None:
            return reference.digest is not None and self.digest.matches(reference.digest)
        if self.tag is not None:
            return reference.digest is None and reference.tag is not None and self.tag.matches(reference.tag)
        return True


def registry_of(pattern: str) -> str:
    """Return the part of a pattern that stands for the registry, in lower case; ValueError for an invalid pattern."""
    ImagePattern.parse(pattern)
    name, _, _ = _split(pattern)
    return _locate(name if name.strip("*") else "*/*")[0]


def _split(image: str) -> tuple[str, str | None, str | None]:
    """Split an image or a pattern into name, tag and digest."""
    tagged, at, digest = image.partition("@")
    path, slash, last = tagged.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{path}{slash}{last}", tag if colon else None, digest if at else None


def _locate(name: str) -> tuple[str, str]:
    """Split the name of an image or a pattern into registry and repository."""
    first, slash, rest = name.partition("/")
    registry, repository = (first.lower(), rest) if slash and _is_registry(first) else (_DOCKER_HUB, name)
    if registry == _DOCKER_HUB_BEFORE:
        registry = _DOCKER_HUB
    if registry == _DOCKER_HUB and "/" not in repository and repository.strip("*"):
        repository = _OFFICIAL + repository
    return registry, repository


def _is_registry(first: str) -> bool:
    return "." in first or ":" in first or first in ("localhost", "*") or first != first.lower()
