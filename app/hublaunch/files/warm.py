"""The part of the catalogue's file about warm servers."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from hublaunch.files.catalogue_fields import FilePart, SizeNames
from hublaunch.files.yaml_file import InvalidValue
from hublaunch.launch.rules.catalogue import ContentMode, Size
from hublaunch.launch.rules.warm import CRON_MAX, Warm, Window, check_cron, check_timezone

_KEEP_MAX, _WINDOWS_MAX = 10_000, 20
_MINUTE_S, _WEEK_S = 60, 604_800


def _cron(cron: str) -> str:
    check_cron(cron)
    return cron


def _timezone(timezone: str) -> str:
    check_timezone(timezone)
    return timezone


_Count = Annotated[int, Field(ge=0, le=_KEEP_MAX, strict=True)]
_Duration = Annotated[int, Field(ge=_MINUTE_S, le=_WEEK_S, strict=True)]


class WindowEntry(FilePart):
    """A time in which more servers are kept ready, such as before each session of a course."""

    cron: Annotated[str, Field(max_length=CRON_MAX), AfterValidator(_cron)]
    """When it opens: a cron expression of five fields, such as 45 8 * * mon. By then the servers are ready."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """The time zone of the expression, such as Europe/Oslo."""
    for_s: _Duration
    """How many seconds it stays open."""
    keep: _Count
    """How many servers are kept ready while it is open, in each size."""


class WarmEntry(FilePart):
    """Servers that are kept ready before anybody asks for them."""

    keep: _Count
    """How many are kept ready, in each size. 0 keeps servers only in windows; without windows, none."""
    most: _Count | None = None
    """The maximum number kept ready when many launches arrive. Without it, demand does not raise the number."""
    max_age_s: _Duration = 3600
    """Seconds after its start at which a server that nobody took is replaced."""
    sizes: SizeNames = ()
    """The sizes that are kept ready. Empty: the first size without groups."""
    windows: Annotated[tuple[WindowEntry, ...], Field(max_length=_WINDOWS_MAX)] = ()
    """Times in which more servers are kept ready."""


def warm_of(environment: str, warm: WarmEntry, *, content: ContentMode, sizes: Sequence[Size]) -> Warm:
    """Return the warm servers of an environment. Raises InvalidValue if nobody could have them.

    `sizes`: those of the environment.
    """
    place, by_name = ("environments", environment, "warm"), {size.name: size for size in sizes}
    if content == "spawner":
        reason = "must not be set with content: spawner, because the repository must be known when the server starts"
        raise InvalidValue(place, reason)
    if warm.most is not None and warm.most < warm.keep:
        raise InvalidValue((*place, "most"), "must not be below keep")
    if len(set(warm.sizes)) < len(warm.sizes):
        raise InvalidValue((*place, "sizes"), "must not list a size twice")
    for number, size in enumerate(warm.sizes):
        if size not in by_name:
            raise InvalidValue((*place, "sizes", number), "must be one of the sizes of this environment")
        if by_name[size].groups:
            raise InvalidValue(
                (*place, "sizes", number), "must be a size without groups: a warm server's user has none"
            )
    for_everybody = tuple(size.name for size in sizes if not size.groups)
    if sizes and not for_everybody:
        raise InvalidValue(place, "needs a size without groups here: a warm server's user has none")
    return Warm(
        keep=warm.keep,
        most=warm.keep if warm.most is None else warm.most,
        max_age_s=warm.max_age_s,
        sizes=warm.sizes or for_everybody[:1],
        windows=tuple(
            Window(cron=each.cron, timezone=each.timezone, for_s=each.for_s, keep=each.keep) for each in warm.windows
        ),
    )
