"""Names for users and named servers that every Hub from 4.x to 6.x accepts."""

import re
import secrets
from string import ascii_lowercase, digits
from urllib.parse import urlsplit

_SUFFIX_LENGTH = 8
_SUFFIX_ALPHABET = ascii_lowercase + digits
_USER_STEM_MAX = 31
_SERVER_STEM_MAX = 21
_CUT = 15
_FALLBACK = "launch"
_DIGEST = re.compile(r"@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}$")
"""The digest at the end of an image reference, which is not used for names."""


def unique_name_from_repo(repo_url: str) -> str:
    """Return a user name of at most 40 characters: the repository's path, then 8 random characters.

    `https://github.com/minrk/binder-example.git` gives `minrk-binder-example-1a2b3c4d`. The name has only `a-z`, `0-9`
    and single hyphens. A path of more than 31 characters is cut to its first and last 15. SSH forms
    (`git@host:org/repo`) and image references work too, without their digest; `""` gives `launch-…`.
    """
    stem = _stem(repo_url)
    if len(stem) > _USER_STEM_MAX:
        stem = _single_hyphens(f"{stem[:_CUT]}-{stem[-_CUT:]}")
    return f"{stem}-{_suffix()}"


def unique_server_name(repo_url: str) -> str:
    """Return a server name that JupyterHub 6 accepts: 1 to 30 of `a-z`, `0-9` and single hyphens, a letter first."""
    stem = _stem(repo_url)
    if not stem[0].isalpha():
        stem = f"{_FALLBACK}-{stem}"
    return f"{stem[:_SERVER_STEM_MAX].rstrip('-')}-{_suffix()}"


def _stem(repo_url: str) -> str:
    repo_url = _DIGEST.sub("", repo_url)
    path = (
        urlsplit(repo_url).path if "://" in repo_url else repo_url.rpartition(":")[2] if "@" in repo_url else repo_url
    )
    return _single_hyphens(path.strip("/").lower().removesuffix(".git")) or _FALLBACK


def _single_hyphens(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def _suffix() -> str:
    """Return 8 random characters from a single draw, because each draw is a system call."""
    number, characters = secrets.randbelow(len(_SUFFIX_ALPHABET) ** _SUFFIX_LENGTH), ""
    for _ in range(_SUFFIX_LENGTH):
        number, index = divmod(number, len(_SUFFIX_ALPHABET))
        characters += _SUFFIX_ALPHABET[index]
    return characters
