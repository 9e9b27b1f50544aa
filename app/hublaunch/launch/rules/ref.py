"""Refs: the branch, tag or commit of a repository that a request may name."""

import re

REF_MAX = 200
"""Characters."""

HEAD = "HEAD"
"""The default branch, as git and Binder's clients call it. hublaunch has one name for it: no ref."""
BRANCHES, TAGS = "refs/heads/", "refs/tags/"
_REFUSED_CHARACTERS = frozenset("\\ ~^:?*[\x7f")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")


def check_ref(ref: str) -> None:
    """Check the name of a branch, a tag or a commit. Raises ValueError with a reason that does not repeat it.

    The rules are those of `git check-ref-format --allow-onelevel`, and a few more. A ref does not begin with `-`, so
    that no command reads it as an option, nor with `+`, with which git fetches by force. Below `refs/` it is a branch
    or a tag. The default branch has no name here.
    """
    if len(ref) > REF_MAX:
        raise ValueError(f"must have at most {REF_MAX} characters")
    if not ref.isprintable() or _REFUSED_CHARACTERS.intersection(ref):
        raise ValueError(r"must have no spaces, no control characters and none of \ ~ ^ : ? * [")
    if ref == HEAD:
        raise ValueError("must be empty for the default branch")
    if ref.startswith(("-", "+")):
        raise ValueError("must not begin with - or +")
    if ".." in ref or "@{" in ref or ref in ("", "@"):
        raise ValueError("must not contain .. or @{, and must not be @")
    if any(_is_refused(part) for part in ref.split("/")) or ref.endswith("."):
        raise ValueError("must have no empty part, none that begins with . or ends in .lock, and no . at the end")
    if ref.startswith("refs/") and not ref.startswith((BRANCHES, TAGS)):
        raise ValueError(f"must be a branch, a tag or a commit; below refs/ only {BRANCHES} and {TAGS} are allowed")


def is_commit(ref: str) -> bool:
    """Return whether the ref is the full hash of a commit: 40 hexadecimal digits, or 64 for SHA-256."""
    return _COMMIT.fullmatch(ref) is not None


def short_name(ref: str) -> str:
    """Return the name of a branch or tag without `refs/heads/` or `refs/tags/`."""
    return ref.removeprefix(BRANCHES).removeprefix(TAGS)


def _is_refused(part: str) -> bool:
    return not part or part.startswith(".") or part.endswith(".lock")
