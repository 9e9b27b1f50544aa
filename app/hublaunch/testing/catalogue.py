"""The catalogue of the fake service, and the requests that it understands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_Environments = Mapping[str, Sequence[str]]
"""The names of the sizes, by the name of their environment."""


class UnusableField(Exception):
    """A field of a request is not valid."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def catalogue_json(environments: _Environments) -> dict[str, Any]:
    """Return the catalogue as the service shows it. Titles are the names with a capital letter."""
    return {
        "environments": [
            {
                "name": name,
                "title": name.capitalize(),
                "description": "",
                "image": _image_of(name),
                "content": "none",
                "open": "",
                "sizes": [{"name": size, "title": size.capitalize()} for size in sizes],
            }
            for name, sizes in environments.items()
        ],
        "images": ["*"],
    }


def resolved(body: Mapping[str, Any], environments: _Environments) -> Mapping[str, Any]:
    """Return the body of a request with the image and the size of its environment. Raises UnusableField."""
    image, environment, size = (body.get(name, "") for name in ("image", "environment", "size"))
    if image and environment:
        raise UnusableField("environment", "must not be sent together with `image`")
    if size and not environment:
        raise UnusableField("size", "can only be chosen together with `environment`")
    if not environment:
        if not re.fullmatch(r"[^\s]+", image):
            raise UnusableField("image", "must be an image reference")
        return body
    if environment not in environments:
        raise UnusableField(
            "environment", f"you may launch no environment of this name{_meant(environment, environments)}"
        )
    sizes = environments[environment]
    if size and size not in sizes:
        raise UnusableField("size", f"this environment offers you no size of this name{_meant(size, sizes)}")
    return {**body, "image": _image_of(environment), "size": size or next(iter(sizes), "")}


def _image_of(environment: str) -> str:
    return f"registry.test/{environment}:1"


def _meant(name: str, known: Iterable[str]) -> str:
    found = get_close_matches(name, list(known), n=1)
    return f". Did you mean {found[0]}?" if found else ""
