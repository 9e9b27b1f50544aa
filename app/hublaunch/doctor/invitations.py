"""`hublaunch invite`: add, show, change and revoke invitations, beside the service or without it."""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches

from hublaunch.files.catalogue import read_catalogue
from hublaunch.files.limits import until_of
from hublaunch.launch.acceptance.invited import as_invited
from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import DigestRequired, InvalidRequest, RepoNotAllowed
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.invitation import Invitation, InvitationUse, check_content, new_code
from hublaunch.launch.rules.policy import Policy
from hublaunch.settings import Settings, load_settings
from hublaunch.store import invitations
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.invitations import KIND
from hublaunch.wiring.rules import policy_of

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FRAGMENT = "invitation"
"""The name before the code in a link's fragment, which browsers send to no server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """A new invitation, with its link."""

    invitation: Invitation
    link: str = field(repr=False)
    warnings: Sequence[str]
    """Why the service does not accept it yet, and why its servers will not have the files of its repository."""


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
    if settings.catalogue_file is None:
        raise InvalidRequest("environment", "needs a catalogue, which LAUNCHER_CATALOGUE_FILE names")
    catalogue = read_catalogue(settings.catalogue_file)
    _check_offer(wanted, catalogue)
    if wanted.repo_url:
        _check_launches(wanted, catalogue, policy_of(settings))
    warnings = tuple(_warnings(wanted, settings, catalogue))
    code = new_code()
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        invitations.add(connection, wanted, code)
    return Added(invitation=wanted, link=f"{settings.page_url}#{FRAGMENT}={code}", warnings=warnings)


def _warnings(wanted: Invitation, settings: Settings, catalogue: Catalogue) -> Generator[str]:
    if KIND not in settings.access:
        yield (
            "The service refuses this invitation, because LAUNCHER_ACCESS does not include invitation. Add it there, "
            "and restart the service."
        )
    for environment in catalogue.environments:
        is_empty = environment.content == "none" and "git-pull" not in wanted.path
        if wanted.repo_url and environment.name in wanted.environments and is_empty:
            yield (
                f"Servers of the environment {environment.name} will not have the files of the repository, because its "
                "`content` in the catalogue is `none`. Set it to nbgitpuller or spawner."
            )


def list_invitations() -> Sequence[InvitationUse]:
    """Return all invitations, newest first. Raises SettingsFault or StoreError."""
    with transaction_beside_service(load_settings().database_url, writes=False) as connection:
        return invitations.uses(connection)


def show_invitation(name: str) -> InvitationUse:
    """Return the invitation of this name. Raises InvalidRequest for an unknown name, SettingsFault or StoreError."""
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


def _check_offer(wanted: Invitation, catalogue: Catalogue) -> None:
    """Raise InvalidRequest unless holders get each environment, and each size in at least one of them."""
    _check_names("environment", wanted.environments, [each.name for each in catalogue.environments])
    _check_names("size", wanted.sizes, [size.name for size in catalogue.sizes])
    offered = {each.name: [size.name for size in each.sizes] for each in catalogue.offered(_holder(wanted))}
    for name in wanted.environments:
        if name not in offered:
            raise InvalidRequest("size", f"the environment {name} has no such size for everybody{_sizes(catalogue)}")
    for size in wanted.sizes:
        if not any(size in sizes for sizes in offered.values()):
            raise InvalidRequest("size", f"none of the environments has the size {size} for everybody")


def _check_launches(wanted: Invitation, catalogue: Catalogue, policy: Policy) -> None:
    """Raise InvalidRequest unless holders may launch each environment with the repository of their invitation."""
    holder = _holder(wanted)
    for name in wanted.environments:
        request = catalogue.resolve(as_invited(LaunchRequest(image="", environment=name), holder), holder)
        try:
            policy.check(request)
        except (DigestRequired, RepoNotAllowed) as refusal:
            what = "repo_url" if isinstance(refusal, RepoNotAllowed) else "environment"
            raise InvalidRequest(what, f"{refusal} {refusal.operator_advice}") from None


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
