"""The images that an operator maps BinderHub's specs to: what `/build` launches in place of building."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from hublaunch.launch.errors import InvalidRequest, SpecNotMapped
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.binder_spec import PROVIDERS, BinderSpec
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.request import launch_request

_GROUP = re.compile(r"\{([1-9][0-9]?)\}")
_IN_NAME = re.compile(r"[a-z0-9._/-]+")
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One part of a pattern: a text, with or without a `*` in it, in upper and lower case."""

    before: str
    after: str | None
    """None without a `*`."""

    @classmethod
    def parse(cls, written: str) -> Self:
        before, star, after = unquote(written).partition("*")
        if not written:
            raise ValueError("must have no empty part")
        if "*" in after:
            raise ValueError("must have at most one * in each part")
        return cls(before=before.casefold(), after=after.casefold() if star else None)

    def match(self, text: str) -> list[str] | None:
        """What stands in place of the `*`, which is never nothing; None if the text is another."""
        if self.after is None:
            return [] if text.casefold() == self.before else None
        end = len(text) - len(self.after)
        matches = text[: len(self.before)].casefold() == self.before and text[end:].casefold() == self.after
        return [text[len(self.before) : end]] if matches and len(self.before) < end else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageMapping:
    """The image of each spec that a pattern matches.

    The pattern is written as an address is, `gh/org/*/*`: each `*` is text within a part, and the last part is all the
    rest. `{1}` in the template is what stands in place of the first `*`: in the image's name in lower case, in its tag
    with `-` for what no tag can have.
    """

    pattern: tuple[_Part, ...]
    template: str

    @classmethod
    def parse(cls, pattern: str, template: str) -> Self:
        """ValueError says what keeps the two from being a mapping."""
        provider, *rest = pattern.split("/")
        if provider not in PROVIDERS or not rest:
            raise ValueError(f"must begin with one of {', '.join(f'{name}/' for name in PROVIDERS)}")
        mapping = cls(pattern=tuple(_Part.parse(part) for part in pattern.split("/")), template=template)
        stars = sum(part.after is not None for part in mapping.pattern)
        if any(int(number) > stars for number in _GROUP.findall(template)):
            raise ValueError(f"must have as many * as the image counts on; it has {stars}")
        try:
            ImageReference.parse(mapping._fill(["x"] * stars))
        except ValueError as error:
            raise ValueError(f"must lead to an image, which {error}") from None
        return mapping

    def image(self, spec: BinderSpec) -> str | None:
        """None if the pattern does not match; InvalidRequest if what it matches gives no image."""
        groups = self._match(spec)
        if groups is None:
            return None
        try:
            image = self._fill(groups)
            ImageReference.parse(image)
        except ValueError:
            raise InvalidRequest("spec", "has something in it that no image can have in its name") from None
        return image

    def _match(self, spec: BinderSpec) -> list[str] | None:
        last = len(self.pattern) - 1
        if len(spec.parts) <= last:
            return None
        found = list(map(_Part.match, self.pattern, [*spec.parts[:last], "/".join(spec.parts[last:])]))
        return None if None in found else [text for texts in found for text in texts or ()]

    def _fill(self, groups: Sequence[str]) -> str:
        """ValueError for what cannot stand in a name."""

        def fill(place: re.Match[str]) -> str:
            text, before = groups[int(place[1]) - 1], self.template[: place.start()].rpartition("/")[2]
            if ":" in before:
                return _NOT_IN_TAG.sub("-", text)
            if not _IN_NAME.fullmatch(text.lower()):
                raise ValueError
            return text.lower()

        return _GROUP.sub(fill, self.template)


class BinderImages:
    """What the operator has mapped; the first pattern that matches counts."""

    def __init__(self, mappings: Sequence[ImageMapping], *, allowed_extra_args: Collection[str]) -> None:
        self._mappings = mappings
        self._allowed_extra_args = frozenset(allowed_extra_args)

    @property
    def is_on(self) -> bool:
        """Whether anything is mapped."""
        return bool(self._mappings)

    def request(self, spec: BinderSpec) -> LaunchRequest:
        """What to launch for a spec; SpecNotMapped, InvalidRequest.

        Of BinderHub's extra arguments it has those that can be known here and that settings allow.
        """
        image = next((image for mapping in self._mappings if (image := mapping.image(spec))), None)
        if image is None:
            raise SpecNotMapped
        source = spec.source()
        known = {"binder_request": f"v2/{spec.written}"}
        if source.ref_url:
            known["binder_ref_url"] = source.ref_url
        if _COMMIT.fullmatch(source.ref):
            known["binder_persistent_request"] = known["binder_request"]
        return launch_request(
            image=image,
            repo_url=source.repo_url,
            extra_args={name: value for name, value in known.items() if name in self._allowed_extra_args},
            allowed_extra_args=self._allowed_extra_args,
        )
