"""Invitations: links with which visitors launch certain environments without an account, until a certain time."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from hublaunch.launch.errors import InvalidRequest, InvitationEnded
from hublaunch.launch.rules.path import check_path
from hublaunch.launch.rules.ref import check_ref
from hublaunch.launch.rules.repo_url import check_repo_url

CODE_PREFIX = "hli_"
"""The start of every code, which tells it from an API key and from a token of the Hub."""
_CODE_BYTES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """An invitation without its code."""

    name: str
    """For operators, and for the visitors who are invited."""
    environments: tuple[str, ...]
    """The environments of the catalogue that its holders may launch."""
    sizes: tuple[str, ...] = ()
    """The sizes that they may have; empty for all that an environment offers to everybody."""
    most: int
    """Launches of all its holders that may be active at once."""
    created_at: datetime
    until: datetime
    repo_url: str = ""
    """The repository that its launches open; `""` lets the visitor choose one."""
    ref: str = ""
    path: str = ""
    """`ref` and `path` belong to `repo_url`, and are fixed with it."""
    revoked_at: datetime | None = None

    def is_over(self, at: datetime) -> bool:
        """Return whether it can no longer be used at this time."""
        return self.revoked_at is not None or self.until <= at

    def check(self, at: datetime) -> None:
        """Raise InvitationEnded if it can no longer be used at this time."""
        if self.is_over(at):
            raise InvitationEnded(self.revoked_at or self.until, was_revoked=self.revoked_at is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class InvitationUse:
    """An invitation, and how many of its launches are active."""

    invitation: Invitation
    active: int
    is_over: bool
    """Whether it can no longer be used."""


def new_code() -> str:
    """Return the code of a new invitation: 192 random bits."""
    return CODE_PREFIX + secrets.token_urlsafe(_CODE_BYTES)


def digest_of(code: str) -> str:
    """Return the SHA-256 of a code, which is stored in its place. A fast hash suffices: no one can guess a code."""
    return hashlib.sha256(code.encode()).hexdigest()


def check_content(repo_url: str, ref: str, path: str) -> None:
    """Raise InvalidRequest unless an invitation may fix this repository, ref and path."""
    if not repo_url and (ref or path):
        raise InvalidRequest("ref" if ref else "path", "needs the repository that it belongs to")
    try:
        if repo_url:
            check_repo_url(repo_url)
    except ValueError as error:
        raise InvalidRequest("repo_url", str(error)) from None
    try:
        if ref:
            check_ref(ref)
    except ValueError as error:
        raise InvalidRequest("ref", str(error)) from None
    check_path(path)
