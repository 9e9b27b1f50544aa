"""The store's first role: launches, their attempts and their event logs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hublaunch.launch.acceptance.idempotency import IdempotencyKey
from hublaunch.launch.caller import Caller
from hublaunch.launch.model import Attempt, Event, Launch, Status, Step


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchFilter:
    """Selects launches for a list. Each field that is None or False selects all."""

    caller: Caller | None = None
    status: Status | None = None
    repo_url: str | None = None
    image: str | None = None
    environment: str | None = None
    image_name: str | None = None
    """The name under which quotas count the image (`rules/quota_rules.py`)."""
    repo_name: str | None = None
    """The name under which quotas count the repository; `""` selects launches without a repository."""
    is_active: bool = False
    """Select only launches in progress or ready."""
    username: str | None = None
    """The Hub user of the latest attempt."""
    since: datetime | None = None
    """Select launches accepted at this time or later."""
    before: str | None = None
    """Select launches accepted before the launch with this id."""


class LaunchLog(Protocol):
    """Reads launches and appends to their logs.

    Each method is one transaction, and its result is stored when it returns. Writes carry the fence of the launch:
    LeaseLost is raised, and nothing is written, once another process has taken the launch over.

    A cancelled call may still be carried out. If the database fails, the call raises the database's error; the write
    is then usually not stored, but may be if only the answer to the commit was lost.
    """

    async def get(self, launch_id: str) -> Launch | None:
        """Return the launch with everything stored so far, or None if the id is unknown."""

    async def get_many(self, launch_ids: Collection[str]) -> Mapping[str, Launch]:
        """Return these launches by id, read together. Unknown ids are left out."""

    async def find(self, key: IdempotencyKey) -> Launch | None:
        """Return the launch accepted with this key, while the key is kept.

        Raises IdempotencyKeyReused if that launch came with a different request.
        """

    async def launches(self, selected: LaunchFilter, *, limit: int | None) -> Sequence[Launch]:
        """Return the selected launches, newest first."""

    async def events(self, launch_id: str, *, after: int) -> Sequence[Event]:
        """Return the launch's events with a `seq` above `after`, in order."""

    async def ends(self, launch_ids: Collection[str]) -> Mapping[str, int]:
        """Return the last `seq` of each of these launches."""

    async def begin_attempt(self, launch: Launch, attempt: Attempt) -> None:
        """Store the launch's next attempt. Call this before the first request to the Hub for it."""

    async def note_digest(self, launch: Launch, image_digest: str, *, is_pinned: bool) -> None:
        """Store the digest of the image, found after acceptance. Call this before the first request to the Hub.

        `is_pinned`: whether the spawner gets the digest.
        """

    async def append(self, launch: Launch, step: Step) -> Event:
        """Store a step as the launch's next event. Its phase becomes the launch's status; its token is sealed.

        A ready launch no longer has an owner. A failed or cancelled launch's attempt becomes due for clean-up unless
        that is done already. Raises ValueError if the launch's status may not become that phase.
        """
