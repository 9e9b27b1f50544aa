"""The images that the operator maps BinderHub's specs to, which `/build` launches instead of building."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from hublaunch.launch.errors import InvalidRequest, SpecNotMapped
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.binder_spec import PROVIDERS, BinderSpec
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.ref import HEAD
from hublaunch.launch.rules.request import launch_request

_IMAGE_MARKS = "/:@"
"""A template without any of these characters is the name of an environment of the catalogue."""
_GROUP = re.compile(r"\{([1-9][0-9]?)\}")
_IN_NAME = re.compile(r"[a-z0-9._/-]+")
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One part of a pattern: text with at most one `*`, matched regardless of case."""

    before: str
    after: str | None
    """The text after the `*`; None without a `*`."""

    @classmethod
    def parse(cls, written: str) -> Self:
        before, star, after = unquote(written).partition("*")
        if not written:
            raise ValueError("must not have an empty part")
        if "*" in after:
            raise ValueError("must have at most one * in each part")
        return cls(before=before.casefold(), after=after.casefold() if star else None)

    def match(self, text: str) -> list[str] | None:
        """Return the text that the `*` matches, which is never empty; None if the part does not match."""
        if self.after is None:
            return [] if text.casefold() == self.before else None
        end = len(text) - len(self.after)
        matches = text[: len(self.before)].casefold() == self.before and text[end:].casefold() == self.after
        return [text[len(self.before) : end]] if matches and len(self.before) < end else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageMapping:
    """Maps the specs that match a pattern to an image, or to an environment of the catalogue.

    A pattern is written like an address, for example `gh/org/*/*`. Each `*` matches text within one part, and the last
    part matches the rest of the spec. `{1}` in the template is the text that the first `*` matches. In the image's name
    it is put in lower case; in its tag, each character that a tag cannot have becomes `-`.
    """

    pattern: tuple[_Part, ...]
    template: str

    @classmethod
    def parse(cls, pattern: str, template: str) -> Self:
        """Return the mapping. Raises ValueError with a reason."""
        provider, *rest = pattern.split("/")
        if provider not in PROVIDERS or not rest:
            raise ValueError(f"must start with one of {', '.join(f'{name}/' for name in PROVIDERS)}")
        mapping = cls(pattern=tuple(_Part.parse(part) for part in pattern.split("/")), template=template)
        stars = sum(part.after is not None for part in mapping.pattern)
        if any(int(number) > stars for number in _GROUP.findall(template)):
            raise ValueError(f"must have a * for each number in the image; it has {stars}")
        try:
            ImageReference.parse(mapping._fill(["x"] * stars))
        except ValueError as error:
            raise ValueError(f"must result in a valid image: it {error}") from None
        return mapping

    @property
    def field(self) -> str:
        """The field of a launch request that the mapping sets: `image` or `environment`."""
        return "image" if any(mark in self.template for mark in _IMAGE_MARKS) else "environment"

    def image(self, spec: BinderSpec) -> str | None:
        """Return the spec's image or environment; None if the pattern does not match.

        Raises InvalidRequest if the spec has characters that a name cannot have.
        """
        groups = self._match(spec)
        if groups is None:
            return None
        try:
            image = self._fill(groups)
            ImageReference.parse(image)
        except ValueError:
            raise InvalidRequest("spec", "contains characters that an image name cannot have") from None
        return image

    def _match(self, spec: BinderSpec) -> list[str] | None:
        last = len(self.pattern) - 1
        if len(spec.parts) <= last:
            return None
        found = list(map(_Part.match, self.pattern, [*spec.parts[:last], "/".join(spec.parts[last:])]))
        return None if None in found else [text for texts in found for text in texts or ()]

    def _fill(self, groups: Sequence[str]) -> str:
        """Return the template with the texts filled in. Raises ValueError for characters that a name cannot have."""

        def fill(place: re.Match[str]) -> str:
            text, before = groups[int(place[1]) - 1], self.template[: place.start()].rpartition("/")[2]
            if ":" in before:
                return _NOT_IN_TAG.sub("-", text)
            if not _IN_NAME.fullmatch(text.lower()):
                raise ValueError
            return text.lower()

        return _GROUP.sub(fill, self.template)


INFORMATIONAL = frozenset({"binder_request", "binder_ref_url", "binder_persistent_request"})
"""The extra arguments of BinderHub that only inform: a server with and without them is the same."""


class BinderImages:
    """The operator's mappings. The first that matches is used."""

    def __init__(self, mappings: Sequence[ImageMapping], *, allowed_extra_args: Collection[str]) -> None:
        self._mappings = mappings
        self._allowed_extra_args = frozenset(allowed_extra_args)

    @property
    def is_on(self) -> bool:
        """Return whether there are any mappings."""
        return bool(self._mappings)

    def request(self, spec: BinderSpec) -> LaunchRequest:
        """Return the launch request for a spec. Raises SpecNotMapped or InvalidRequest.

        It includes the extra arguments of BinderHub that this service knows and the settings allow.
        """
        found = ({mapping.field: name} for mapping in self._mappings if (name := mapping.image(spec)))
        target = next(found, None)
        if target is None:
            raise SpecNotMapped
        source = spec.source()
        known = {"binder_request": f"v2/{spec.written}"}
        if source.ref_url:
            known["binder_ref_url"] = source.ref_url
        if _COMMIT.fullmatch(source.ref):
            known["binder_persistent_request"] = known["binder_request"]
        return launch_request(
            **target,
            repo_url=source.repo_url,
            ref="" if source.ref == HEAD else source.ref,
            extra_args={name: value for name, value in known.items() if name in self._allowed_extra_args},
            allowed_extra_args=self._allowed_extra_args,
        )
