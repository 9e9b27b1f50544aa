"""Whether a request comes from a page of this service's own."""

from starlette.datastructures import Headers


def is_own_origin(headers: Headers) -> bool:
    """True too where neither header is there, as when no browser asks."""
    return headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
