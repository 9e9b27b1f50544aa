"""`hublaunch invite`: add, show, change and revoke invitations, beside the service or without it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from hublaunch.files.catalogue import read_catalogue
from hublaunch.files.limits import until_of
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import Caller
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.invitation import Invitation, InvitationUse, check_content, new_code
from hublaunch.settings import Settings, load_settings
from hublaunch.store import invitations
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.invitations import KIND

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FRAGMENT = "invitation"
"""The name before the code in a link's fragment, which browsers send to no server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """A new invitation, with its link."""

    invitation: Invitation
    link: str = field(repr=False)
    warning: str
    """Why the service does not accept it yet; `""` if it does."""


def add_invitation(wanted: Invitation) -> Added:
    """Store an invitation, and return its link. The link is not stored, so it cannot be shown again.

    Raises InvalidRequest for a field that cannot be used, FileFault, SettingsFault or StoreError.
    """
    settings = load_settings()
    if not _NAME.fullmatch(wanted.name):
        raise InvalidRequest("name", "must be 1 to 64 of a-z, 0-9, `.`, `_` and `-`, and start with a letter or digit")
    if wanted.until <= wanted.created_at:
        raise InvalidRequest("until", "must be in the future")
    check_content(wanted.repo_url, wanted.ref, wanted.path)
    _check_offer(wanted, settings.catalogue_file)
    code = new_code()
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        invitations.add(connection, wanted, code)
    return Added(invitation=wanted, link=f"{settings.page_url}#{FRAGMENT}={code}", warning=_warning(settings))


def _warning(settings: Settings) -> str:
    if KIND in settings.access:
        return ""
    return (
        "The service refuses this invitation, because LAUNCHER_ACCESS does not include invitation. Add it there, and "
        "restart the service."
    )


def list_invitations() -> Sequence[InvitationUse]:
    """Return all invitations, newest first. Raises SettingsFault or StoreError."""
    with transaction_beside_service(load_settings().database_url, writes=False) as connection:
        return invitations.uses(connection)


def show_invitation(name: str) -> InvitationUse:
    """Return the invitation of this name. Raises InvalidRequest if there is none, SettingsFault or StoreError."""
    with transaction_beside_service(load_settings().database_url, writes=False) as connection:
        return invitations.use_of(connection, name)


def change_invitation(name: str, *, most: int | None, until: datetime | None) -> InvitationUse:
    """Change an invitation's limits. Raises InvalidRequest if it was revoked or is unknown, or as `show_invitation`."""
    if until is not None and until <= datetime.now(UTC):
        raise InvalidRequest("until", "must be in the future. `hublaunch invite revoke` ends an invitation now")
    with transaction_beside_service(load_settings().database_url, writes=True) as connection:
        return invitations.change(connection, name, most=most, until=until)


def revoke_invitation(name: str) -> InvitationUse:
    """Revoke an invitation. Raises InvalidRequest if it was revoked or is unknown, or as `show_invitation`."""
    with transaction_beside_service(load_settings().database_url, writes=True) as connection:
        return invitations.revoke(connection, name)


def end_of(until: str) -> datetime:
    """Return the time; a date means the end of that day in UTC. Raises InvalidRequest."""
    try:
        at = until_of(until)
    except ValueError as error:
        raise InvalidRequest("until", str(error)) from None
    assert at is not None
    return at


def _check_offer(wanted: Invitation, catalogue_file: Path | None) -> None:
    """Raise InvalidRequest unless holders get each environment, and each size in at least one of them."""
    if catalogue_file is None:
        raise InvalidRequest("environment", "needs a catalogue, which LAUNCHER_CATALOGUE_FILE names")
    catalogue = read_catalogue(catalogue_file)
    _check_names("environment", wanted.environments, [each.name for each in catalogue.environments])
    _check_names("size", wanted.sizes, [size.name for size in catalogue.sizes])
    offered = {each.name: [size.name for size in each.sizes] for each in catalogue.offered(_holder(wanted))}
    for name in wanted.environments:
        if name not in offered:
            raise InvalidRequest("size", f"the environment {name} has no such size for everybody{_sizes(catalogue)}")
    for size in wanted.sizes:
        if not any(size in sizes for sizes in offered.values()):
            raise InvalidRequest("size", f"none of the environments has the size {size} for everybody")


def _holder(invitation: Invitation) -> Caller:
    return Caller(kind=KIND, key=invitation.name, environments=invitation.environments, invitation=invitation)


def _check_names(what: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f". Did you mean {near[0]}?" if near else ""
            raise InvalidRequest(what, f"the catalogue has none of this name{meant}")


def _sizes(catalogue: Catalogue) -> str:
    restricted = [size.name for size in catalogue.sizes if size.groups]
    return f". Only members of groups at the Hub may have {', '.join(restricted)}" if restricted else ""
