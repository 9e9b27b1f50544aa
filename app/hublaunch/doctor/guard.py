"""`hublaunch guard`: show or clear the state of the Hub guard while the service runs."""

from collections.abc import Sequence

from hublaunch.launch.rules.guard import Guard, GuardState, known_as
from hublaunch.settings import Settings, load_settings
from hublaunch.store import spawn_history
from hublaunch.store.database import transaction_beside_service
from hublaunch.store.queue import capacity

STATES: dict[GuardState, str] = {
    "open": "launches are admitted",
    "proven_only": "only proven images (ready within the last hour) are launched, one at a time, until one is ready",
    "paused": "nothing is launched until JupyterHub is restarted or you run `hublaunch guard clear`",
    "off": "launches are admitted, even after failures",
}
"""The states of the guard in words."""


def guard_lines() -> Sequence[str]:
    """Return the state of the guard, as lines. Raises SettingsFault or StoreError."""
    return guard_state(load_settings())[1]


def guard_state(settings: Settings) -> tuple[GuardState, Sequence[str]]:
    """Return the state of the guard, as a word and as lines. Raises StoreError."""
    guard = Guard(mode=settings.hub_guard, failure_limit=settings.hub_failure_limit)
    with transaction_beside_service(settings.database_url, writes=False) as connection:
        now = capacity(connection, guard, settings.max_concurrent_spawns)
        failing = spawn_history.failing(connection, guard)
    lines = [f"Guard       {guard.mode}: {STATES[now.guard]}"]
    if now.window is not None:
        lines += [
            f"Failures    at most {now.failures} in a row; launches pause at {guard.failure_limit}",
            f"New images  at most {now.window} at once, 2 launches of one image",
        ]
    lines += [f"Launches    {now.launching} at the Hub, {now.waiting} in the queue"]
    lines += [
        f"Refused     {image}: {failed.cause}; until {failed.until:%H:%M:%S} UTC, or `hublaunch guard clear --image`"
        for image, failed in failing.items()
    ]
    return now.guard, lines


def clear_guard(image: str | None) -> str:
    """Admit an image again; without an image, reset the count of failures. Return a description of the change.

    Raises InvalidRequest, SettingsFault or StoreError.
    """
    settings = load_settings()
    with transaction_beside_service(settings.database_url, writes=True) as connection:
        spawn_history.clear(connection, known_as(image) if image else None)
    if image is None:
        return "Earlier failed spawns no longer count."
    return f"{known_as(image)} is admitted again."
