"""The header Accept (RFC 9110 §12.5.1)."""


def names_type(accept: str, media_type: str) -> bool:
    """Return whether an Accept names this media type with a weight above 0. `*/*` names none."""
    return any(_weight_of(entry, media_type) > 0 for entry in accept.lower().split(","))


def _weight_of(entry: str, media_type: str) -> float:
    """The weight of the type in one entry: 0 if the entry is about another type, 1 unless it says otherwise."""
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
