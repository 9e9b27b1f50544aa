"""The headers Accept and Accept-Language (RFC 9110 §12.5.1 and §12.5.4)."""

from collections.abc import Sequence

_LANGUAGES_MAX = 20


def names_type(accept: str, media_type: str) -> bool:
    """Return whether the header names this media type with a weight above 0. `*/*` does not name it."""
    return any(_weight_of(entry, media_type) > 0 for entry in accept.lower().split(","))


def languages_of(accept_language: str) -> Sequence[str]:
    """Return the language tags of the header, at most 20, the most wanted first. `*` is left out."""
    weights = dict(map(_weighted, accept_language.split(",")[:_LANGUAGES_MAX]))
    wanted = [tag for tag, weight in weights.items() if weight > 0 and tag not in ("", "*")]
    return sorted(wanted, key=lambda tag: -weights[tag])


def _weight_of(entry: str, media_type: str) -> float:
    """Return the weight that one entry gives the type: 1 by default, 0 if the entry is for another type."""
    named, weight = _weighted(entry)
    return weight if named == media_type else 0


def _weighted(entry: str) -> tuple[str, float]:
    """Return what one entry names, and its weight: 1 by default, 0 if the weight is not a number."""
    named, *parameters = (part.strip() for part in entry.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return named, float(value)
            except ValueError:
                return named, 0
    return named, 1
