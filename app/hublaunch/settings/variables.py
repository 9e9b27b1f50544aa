"""Variables that look like settings: misspelled and unknown ones, and those that Kubernetes sets."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

_ALIKE = 0.8
"""The least similarity, up to 1: ALOWED_IMAGES means ALLOWED_IMAGES, but HUB_API_URL does not mean HUB_URL."""
_SERVICE_LINK = re.compile(r"\w+(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_LINKED_PORT = re.compile(r"(tcp|udp|sctp)://")


def unknown_names(given: Mapping[str, str], known: Collection[str], *, prefix: str) -> list[str]:
    """Return the unknown names with this prefix, except the links that Kubernetes adds for Services.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    ours = {name: value for name, value in given.items() if name.startswith(prefix) and name not in known}
    return sorted(name for name, value in ours.items() if not _is_service_link(name, value))


def meant_by(name: str, known: Collection[str], *, prefix: str) -> str | None:
    """Return the known name that this one misspells; None if no name is similar."""
    bare = [one.removeprefix(prefix) for one in known]
    found = get_close_matches(name.removeprefix(prefix), bare, n=1, cutoff=_ALIKE)
    return f"{prefix}{found[0]}" if found else None


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (name.endswith("_PORT") and bool(_LINKED_PORT.match(value)))
