"""The launches started on this machine, with their secrets, so that later commands can watch and cancel them.

One JSON file, mode 0600, below XDG_STATE_HOME: https://specifications.freedesktop.org/basedir-spec/latest/
"""

import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hublaunch.files.json_file import JsonFile

_KEPT = timedelta(days=30)
"""The time for which a service keeps launches by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RememberedLaunch:
    """One launch of this user."""

    id: str
    url: str
    """The address of the service, ending in `/`. The secret is sent to no other service."""
    secret: str
    created_at: str
    """RFC 3339."""


class CannotRemember(Exception):
    """The file cannot be read or written; `str()` names it."""


def state_directory() -> Path:
    """Return this user's private directory, which may not exist yet. Raises CannotRemember without a home directory."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():  # the specification ignores relative paths
        return given / "hublaunch"
    try:
        return Path.home().absolute() / ".local" / "state" / "hublaunch"
    except RuntimeError:  # the user is not in /etc/passwd, as in some containers
        raise CannotRemember("There is no home directory: set HOME or XDG_STATE_HOME.") from None


def remembered() -> Sequence[RememberedLaunch]:
    """Return the launches, newest last. Raises CannotRemember."""
    path = state_directory() / "launches.json"
    try:
        return _read(path)
    except OSError as error:
        raise CannotRemember(f"{path} cannot be read: {error.strerror}.") from error


def remember(launch: RememberedLaunch) -> None:
    """Add a launch, and forget those that are too old. Raises CannotRemember."""
    with _changing() as launches:
        launches.append(launch)


def forget(launch_ids: Sequence[str]) -> None:
    """Remove launches that the service no longer keeps. Raises CannotRemember."""
    with _changing() as launches:
        launches[:] = [launch for launch in launches if launch.id not in launch_ids]


def secrets_for(url: str, launches: Sequence[RememberedLaunch]) -> Mapping[str, str]:
    """Return the secrets of this service's launches by their ids."""
    return {launch.id: launch.secret for launch in launches if launch.url == url}


@contextmanager
def _changing() -> Generator[list[RememberedLaunch]]:
    """Yield the list to change in place, for one process at a time, and store it."""
    path = state_directory() / "launches.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = JsonFile(path)
        with file.locked():
            launches = list(_read(path))
            yield launches
            since = (datetime.now(UTC) - _KEPT).isoformat()
            kept = [asdict(launch) for launch in launches if launch.created_at >= since]
            file.write({"version": 1, "launches": kept})
    except OSError as error:
        raise CannotRemember(f"{path} cannot be written: {error.strerror}.") from error


def _read(path: Path) -> Sequence[RememberedLaunch]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [one.name for one in fields(RememberedLaunch)]
        found = [{name: launch[name] for name in names} for launch in content["launches"]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError):
        found = None
    if found is None or not all(isinstance(value, str) for values in found for value in values.values()):
        raise CannotRemember(f"{path} was not written by hublaunch. Remove it.")
    return [RememberedLaunch(**values) for values in found]
