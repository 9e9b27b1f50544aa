"""The Accept header (RFC 9110 §12.5.1)."""


def names_type(accept: str, media_type: str) -> bool:
    """Return whether the header names this media type with a weight above 0. `*/*` does not name it."""
    return any(_weight_of(entry, media_type) > 0 for entry in accept.lower().split(","))


def _weight_of(entry: str, media_type: str) -> float:
    """Return the weight that one entry gives the type: 1 by default, 0 if the entry is for another type."""
    named, *parameters = (part.strip() for part in entry.split(";"))
    if named != media_type:
        return 0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
