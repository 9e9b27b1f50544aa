"""The screen of `hublaunch top`, for any size of the terminal."""

from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hublaunch.cli.output import printable
from hublaunch.cli.top import words
from hublaunch.cli.top.reading import Seen, TopSource
from hublaunch.cli.top.view import Mode, Shown, View
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Overview

_KEYS = "↑↓ select  c cancel  / filter  s sort  r reverse  Tab list  ? help  q quit"
_HELP = (
    ("↑ ↓ k j", "select a launch; Page Up, Page Down, Home and End go further"),
    ("c", "cancel the selected launch, after a confirmation"),
    ("/", "show launches that contain a text: id, stage, caller, image, repository, message"),
    ("Escape", "show all launches again"),
    ("s", "sort by admission, age, silence, caller or image"),
    ("r", "reverse the order"),
    ("Tab", "next list: launches, ready, processes, refused images"),
    ("q", "quit; so does Ctrl-C"),
    ("any key", "leave this help"),
)
_WIDTHS = {"ID": 26, "STAGE": 12, "AGE": 6, "SILENT": 6, "CALLER": 18, "IMAGE": 26, "REPOSITORY": 30, "MESSAGE": None}
_WIDE_COLUMNS = 150
"""The width from which all columns are shown."""
_NARROW = ("STAGE", "AGE", "CALLER", "IMAGE", "MESSAGE")
_NARROW_WIDTHS = _WIDTHS | {"CALLER": 15, "IMAGE": 20}
_COLORS = {"green": "green", "yellow": "yellow", "red": "red"}
_LEAST_ROWS = 1


def screen(seen: Seen, source: TopSource, view: View, *, columns: int, lines: int) -> RenderableType:
    """Return everything that fits. No line is wrapped."""
    top = list(_top(seen, source))
    bottom = list(_bottom(seen, view))
    room = max(_LEAST_ROWS, lines - len(top) - len(bottom) - 1)
    view.page = max(1, room - 1)
    middle = _middle(seen, source, view, is_wide=columns >= _WIDE_COLUMNS, rows=room)
    blank = [Text("")] * (room - middle.row_count)
    return Group(*top, middle, *blank, *bottom)


def _line(text: str | Text, style: str = "") -> Text:
    line = Text(printable(text)) if isinstance(text, str) else text
    line.no_wrap, line.overflow = True, "ellipsis"
    line.stylize(style)
    return line


def _top(seen: Seen, source: TopSource) -> Iterator[Text]:
    light = str((seen.status or {}).get("status"))
    for heading, text in words.summary(seen, source):
        line = Text.assemble((f"{heading:<11}", "bold"), printable(text))
        is_fault = heading == "Database" and seen.fault
        color = "red" if is_fault else _COLORS.get(light, "") if heading == "Service" else ""
        yield _line(line, color)
    yield _line("")


def _bottom(seen: Seen, view: View) -> Iterator[Text]:
    launches = view.launches(seen.overview)
    if view.shown is Shown.LAUNCHES and launches and seen.overview:
        yield from _selected(launches[view.selected(launches)], seen.overview)
    at = f"{seen.overview.at.astimezone(UTC):%H:%M:%S} UTC" if seen.overview else ""
    order = f"sorted by {view.order}{', reversed' if view.is_reversed else ''}"
    chosen = [view.shown.value, *([order] if view.shown is Shown.LAUNCHES else []), at]
    if view.filter:
        chosen.append(f"only with “{view.filter}”")
    yield _line(" · ".join(filter(None, chosen)), "dim")
    match view.mode:
        case Mode.CONFIRM:
            yield _line(f"Cancel launch {view.cancelled_id}? y: yes, any other key: no", "bold yellow")
        case Mode.FILTER:
            yield _line(f"Filter: {view.filter}▏ (Enter keeps it, Escape clears it)", "bold")
        case _:
            yield _line(view.notice or _KEYS, "bold" if view.notice else "dim")


def _selected(launch: Launch, seen: Overview) -> Iterator[Text]:
    repository = launch.request.repo_url or "no repository"
    yield _line(
        f"{launch.id}  {words.caller(launch.caller)}  {words.stage(launch)} for {words.age(launch, seen)}", "bold"
    )
    yield _line(f"{launch.request.image}  {repository} {launch.request.ref}".rstrip())
    yield _line(launch.last_event.message)


def _middle(seen: Seen, source: TopSource, view: View, *, is_wide: bool, rows: int) -> Table:
    """Return the help or a list, with at most so many rows."""
    if view.mode is Mode.HELP:
        return _table(("KEY", "EFFECT"), _HELP[:rows])
    if seen.overview is None:
        return _table(("Nothing has been read yet.",), ())
    match view.shown:
        case Shown.LAUNCHES:
            return _launches(seen.overview, view, is_wide=is_wide, rows=rows)
        case Shown.READY:
            return _table(words.READY_HEADINGS, words.ready_rows(seen.overview)[:rows])
        case Shown.PROCESSES:
            return _table(words.PROCESS_HEADINGS, words.process_rows(seen.overview, source)[:rows])
        case Shown.REFUSED:
            return _table(words.REFUSED_HEADINGS, words.refused_rows(seen.overview)[:rows])


def _launches(seen: Overview, view: View, *, is_wide: bool, rows: int) -> Table:
    launches = view.launches(seen)
    selected = view.selected(launches)
    first = max(0, min(selected - rows // 2, len(launches) - rows))
    headings = words.LAUNCH_HEADINGS if is_wide else _NARROW
    table = _empty(headings, _WIDTHS if is_wide else _NARROW_WIDTHS)
    for n, launch in enumerate(launches[first : first + rows], first):
        cells = dict(zip(words.LAUNCH_HEADINGS, words.launch_row(launch, seen), strict=True))
        style = "reverse" if n == selected else "yellow" if launch.last_event.stalled_since else ""
        table.add_row(*(Text(printable(cells[heading])) for heading in headings), style=style)
    return table


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = _empty(headings, {})
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _empty(headings: Sequence[str], widths: dict[str, int | None]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bold dim")
    for heading in headings:
        width = widths.get(heading)
        last = heading == headings[-1]
        table.add_column(heading, no_wrap=True, overflow="ellipsis", width=width, ratio=1 if last else None)
    return table
