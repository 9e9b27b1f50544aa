"""Preflight: asks an image's registry before the Hub, and refuses launches of images that do not exist."""

import asyncio
from dataclasses import dataclass, replace

from hublaunch.launch.model import Launch, LaunchRequest
from hublaunch.launch.ports import LaunchLog, LaunchQueue, Registry
from hublaunch.launch.rules.preflight import PreflightTerms

ACCEPT_WAIT_S = 0.5
"""How long a request waits for the registry. A later answer still comes before the Hub is asked (`settle`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """Checks images at their registries, on the operator's terms."""

    registry: Registry
    queue: LaunchQueue
    launch_log: LaunchLog
    terms: PreflightTerms
    pins_images: bool
    """Whether the spawner gets the digest of an image instead of its tag, where the digest is known."""

    async def digest(self, request: LaunchRequest) -> str | None:
        """Return the digest of the image; None if it is unknown yet, or will remain unknown.

        Raise a PreflightRefused if the answer came within ACCEPT_WAIT_S, and the launch must not go to the Hub.
        """
        try:
            async with asyncio.timeout(ACCEPT_WAIT_S):
                return await self._checked(request)
        except TimeoutError:
            return None

    async def settle(self, launch: Launch) -> Launch:
        """Wait a few seconds at most for the answer that acceptance did not wait for, and store its digest.

        Raise a PreflightRefused if the launch must not go to the Hub. Call this before the first request to the Hub.
        """
        digest = await self._checked(launch.request)
        if digest is None:
            return launch
        await self.launch_log.note_digest(launch, digest, is_pinned=self.pins_images)
        return replace(launch, image_digest=digest, is_pinned=self.pins_images)

    async def _checked(self, request: LaunchRequest) -> str | None:
        answer = await self.registry.look_up(request.image_reference)
        refusal = self.terms.refusal(answer, was_ready=False)
        if refusal is not None:  # rare, so only then is the store asked
            refusal = self.terms.refusal(answer, was_ready=await self.queue.is_proven(request.image))
        if refusal is not None:
            raise refusal
        return answer.digest
