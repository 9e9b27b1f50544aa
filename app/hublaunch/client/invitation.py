"""The link of an invitation, `https://…/#invitation=hli_…`, as a program uses it."""

from urllib.parse import parse_qs, urldefrag

CODE_PREFIX = "hli_"


def split_link(url: str) -> tuple[str, str | None]:
    """Return the address of the service and the code in the link; the address unchanged, and None, without a code."""
    address, fragment = urldefrag(url.strip())
    codes = parse_qs(fragment).get("invitation")
    return (address, codes[0]) if codes else (url, None)


def is_code(token: str | None) -> bool:
    """Return whether this token is the code of an invitation."""
    return token is not None and token.startswith(CODE_PREFIX)
