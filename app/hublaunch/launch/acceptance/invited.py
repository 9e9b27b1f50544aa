"""The repository of an invitation, which its holder cannot replace."""

from dataclasses import replace
from typing import Any

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest


def as_invited(request: LaunchRequest, caller: Caller) -> LaunchRequest:
    """Return the request with the repository, ref and path of the caller's invitation, if it fixes a repository.

    Raise InvalidRequest if the request names others.
    """
    invitation = caller.invitation
    if invitation is None or not invitation.repo_url:
        return request
    fixed: dict[str, Any] = {"repo_url": invitation.repo_url, "ref": invitation.ref, "path": invitation.path}
    for name, value in fixed.items():
        if getattr(request, name) not in ("", value):
            raise InvalidRequest(name, "must be left out, because the invitation decides what its launches open")
    return replace(request, **fixed)
