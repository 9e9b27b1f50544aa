"""What the user of `hublaunch top` has chosen by key: the list, its order, a filter, a launch, an action."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hublaunch.cli.top.words import caller, launch_row, named
from hublaunch.launch.model import Launch
from hublaunch.launch.ports import Overview

_FILTER_MOST = 100


class Shown(StrEnum):
    """A list. Tab goes to the next one."""

    LAUNCHES = "launches"
    READY = "ready"
    PROCESSES = "processes"
    REFUSED = "refused images"


class Mode(StrEnum):
    """The purpose of the next key."""

    LIST = "list"
    FILTER = "filter"
    CONFIRM = "confirm"
    HELP = "help"


class Action(StrEnum):
    """What a key asks the command to do."""

    QUIT = "quit"
    CANCEL = "cancel"  # the launch of `View.cancelled_id`


_ORDERS: Mapping[str, Callable[[Launch], Any] | None] = {
    "admission": None,  # as it is read
    "age": lambda launch: launch.created_at,
    "silence": lambda launch: launch.last_event.at,
    "caller": lambda launch: (caller(launch.caller), launch.id),
    "image": lambda launch: (named(launch), launch.id),
}


@dataclass(slots=True)
class View:
    """The choices so far."""

    shown: Shown = Shown.LAUNCHES
    mode: Mode = Mode.LIST
    order: str = "admission"
    is_reversed: bool = False
    filter: str = ""
    selected_id: str = ""
    cancelled_id: str = ""
    """The launch that the user was asked about last."""
    notice: str = ""
    """The result of the last action."""
    page: int = 10
    """The rows that fit on the screen."""

    def launches(self, seen: Overview | None) -> Sequence[Launch]:
        """Return the launches that pass the filter, in the chosen order."""
        if seen is None:
            return []
        wanted = self.filter.lower()
        found = [one for one in seen.launches if wanted in " ".join(launch_row(one, seen)).lower()]
        if order := _ORDERS[self.order]:
            found.sort(key=order)
        return found[::-1] if self.is_reversed else found

    def selected(self, launches: Sequence[Launch]) -> int:
        """Return the index of the selected launch among these; the first if it is gone."""
        return next((n for n, one in enumerate(launches) if one.id == self.selected_id), 0)

    def press(self, key: str, seen: Overview | None) -> Action | None:
        """Take note of a key. Return the action that it asks for."""
        if self.mode is Mode.FILTER:
            self._edit_filter(key)
        elif self.mode is Mode.CONFIRM:
            self.mode = Mode.LIST
            if key in ("y", "Y"):
                return Action.CANCEL
            self.notice = "Nothing was cancelled."
        elif self.mode is Mode.HELP:
            self.mode = Mode.LIST
        else:
            return self._choose(key, seen)
        return None

    def _edit_filter(self, key: str) -> None:
        if key == "enter":
            self.mode = Mode.LIST
        elif key == "escape":
            self.mode, self.filter = Mode.LIST, ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1:
            self.filter = (self.filter + key)[:_FILTER_MOST]

    def _choose(self, key: str, seen: Overview | None) -> Action | None:
        self.notice = ""
        match key:
            case "q":
                return Action.QUIT
            case "?" | "h":
                self.mode = Mode.HELP
            case "tab":
                lists = list(Shown)
                self.shown = lists[(lists.index(self.shown) + 1) % len(lists)]
            case "escape":
                self.filter = ""
            case _ if self.shown is Shown.LAUNCHES:
                self._choose_launch(key, seen)
        return None

    def _choose_launch(self, key: str, seen: Overview | None) -> None:
        match key:
            case "/":
                self.mode = Mode.FILTER
            case "s":
                orders = list(_ORDERS)
                self.order = orders[(orders.index(self.order) + 1) % len(orders)]
            case "r":
                self.is_reversed = not self.is_reversed
            case "c":
                self._ask_to_cancel(self.launches(seen))
            case _:
                self._move(key, self.launches(seen))

    def _ask_to_cancel(self, launches: Sequence[Launch]) -> None:
        if launches:
            self.cancelled_id = self.selected_id = launches[self.selected(launches)].id
            self.mode = Mode.CONFIRM

    def _move(self, key: str, launches: Sequence[Launch]) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -self.page, "page down": self.page}
        steps |= {"home": -len(launches), "end": len(launches)}
        if key in steps and launches:
            moved = self.selected(launches) + steps[key]
            self.selected_id = launches[min(max(0, moved), len(launches) - 1)].id
