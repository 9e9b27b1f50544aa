"""Checks: everything that can refuse a launch before it is stored."""

from collections.abc import Callable
from dataclasses import dataclass

from hublaunch.launch.acceptance.account import Accounts
from hublaunch.launch.acceptance.hook import PreLaunchHook
from hublaunch.launch.acceptance.invited import as_invited
from hublaunch.launch.acceptance.preflight import Preflight
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.acceptance.warm import WarmLook, WarmServers
from hublaunch.launch.caller import Caller
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.errors import AccessDenied
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Attempt, LaunchRequest
from hublaunch.launch.ports import Unless
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What the checks of a launch found out."""

    request: LaunchRequest
    """The request with the image, the size and the path of its environment."""
    first: Attempt
    """The first attempt, with its names at the Hub."""
    unless: Unless | None
    """With `only_one`, the condition for the store to check again."""
    image_digest: str | None
    """The digest of the image, if its registry has answered by now."""
    is_pinned: bool
    """Whether the spawner gets the digest."""
    warm: WarmLook
    """The warm pool that could serve the launch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """Applies the operator's catalogue and policy, the Hub guard, pre-flight, the caller's account, and the hook."""

    catalogue: Callable[[], Catalogue]
    """Returns the current catalogue, which the operator may change while the service runs."""
    policy: Policy
    accounts: Accounts
    existing: ExistingLaunches
    admission: Admission
    warm: WarmServers
    hook: PreLaunchHook | None = None
    preflight: Preflight | None = None

    async def check(self, launch_id: str, request: LaunchRequest, caller: Caller, *, only_one: bool) -> Checked:
        """Return the facts that the checks found out about the launch.

        Raise a RequestRefused, a PreflightRefused, or a HubError if the Hub could not be asked about the account.
        """
        if caller.kind == "admin_link":
            raise AccessDenied("An admin link launches nothing.")
        request = self.catalogue().resolve(as_invited(request, caller), caller)
        self.policy.check(request, allowed_images=caller.allowed_images, groups=caller.groups)
        username = self.accounts.existing_user(request, caller)
        unless = await self.existing.check(request, caller, username=username) if only_one else None
        await self.admission.check_image(request.image)
        warm = await self.warm.look(request, creates_user=username is None)
        digest, pins = None, False
        if self.preflight is not None and not warm.has_free:  # a warm server has proved that its image exists
            digest, pins = await self.preflight.digest(request), self.preflight.pins_images
        # Read before the Hub is asked, so that a launch that becomes ready meanwhile is not marked as replaced.
        ready = await self.existing.ready_on(username, caller) if username is not None else ()
        first = await self.accounts.first_attempt(launch_id, request, caller)
        current_attempt.set(first)
        await self.existing.mark_replaced(ready, first)
        if self.hook is not None:
            await self.hook.check(request.image, first.username, first.server_name, request.repo_url)
        is_pinned = digest is not None and pins
        return Checked(request=request, first=first, unless=unless, image_digest=digest, is_pinned=is_pinned, warm=warm)
