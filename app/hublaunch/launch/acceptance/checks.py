"""Checks: everything that can refuse a launch before it is stored."""

from dataclasses import dataclass

from hublaunch.launch.acceptance.account import Accounts
from hublaunch.launch.acceptance.hook import PreLaunchHook
from hublaunch.launch.acceptance.reuse import ExistingLaunches
from hublaunch.launch.course.admission import Admission
from hublaunch.launch.log_context import current_attempt
from hublaunch.launch.model import Attempt, Caller, LaunchRequest
from hublaunch.launch.ports import Unless
from hublaunch.launch.rules.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """Applies the operator's policy, the Hub guard, the caller's account at the Hub, and the operator's hook."""

    policy: Policy
    accounts: Accounts
    existing: ExistingLaunches
    admission: Admission
    hook: PreLaunchHook | None = None

    async def first_attempt(
        self, launch_id: str, request: LaunchRequest, caller: Caller, *, only_one: bool
    ) -> tuple[Attempt, Unless | None]:
        """Return the launch's names at the Hub and, with `only_one`, the condition for the store to check again.

        Raise a RequestRefused, or a HubError if the Hub could not be asked about the caller's account.
        """
        self.policy.check(request, allowed_images=caller.allowed_images, groups=caller.groups)
        username = self.accounts.existing_user(request, caller)
        unless = await self.existing.check(request, caller, username=username) if only_one else None
        await self.admission.check_image(request.image)
        # Read before the Hub is asked, so that a launch that becomes ready meanwhile is not marked as replaced.
        ready = await self.existing.ready_on(username, caller) if username is not None else ()
        first = await self.accounts.first_attempt(launch_id, request, caller)
        current_attempt.set(first)
        await self.existing.mark_replaced(ready, first)
        if self.hook is not None:
            await self.hook.check(request.image, first.username, first.server_name, request.repo_url)
        return first, unless
