"""The transitions between statuses, and the tree of errors."""

import re
from collections.abc import Iterator

from hublaunch.launch import errors
from hublaunch.launch.errors import LaunchError
from hublaunch.launch.model import Status


def concrete(kind: type[LaunchError] = LaunchError) -> Iterator[type[LaunchError]]:
    if hasattr(kind, "code") and kind is not errors.NameTaken:
        yield kind
    for child in kind.__subclasses__():
        yield from concrete(child)


def test_a_launch_that_has_ended_stays_ended() -> None:
    for ended in (Status.FAILED, Status.CANCELLED, Status.STOPPED):
        assert not any(ended.may_become(status) for status in Status)


def test_a_ready_launch_can_only_be_stopped() -> None:
    assert [status for status in Status if Status.READY.may_become(status)] == [Status.STOPPED]


def test_every_error_has_a_code_of_its_own_and_says_what_to_do() -> None:
    kinds = list(concrete())

    shared = (errors.HubFailed, errors.SpawnRefused, errors.ImageAbsent)
    codes = [kind.code for kind in kinds if kind not in shared]
    assert len(set(codes)) == len(codes)
    assert all(kind.title and kind.advice.endswith(".") for kind in kinds)


def test_no_error_names_a_setting_to_callers() -> None:
    for kind in concrete():
        assert not re.search(
            r"LAUNCHER_|\bc\.[A-Z]|_timeout|pre_launch_hook|[Oo]perators:", f"{kind.title} {kind.advice}"
        )
    told = [errors.ImageNotAllowed(any_allowed=False), errors.HookFailed("took too long"), errors.StartTimedOut("")]
    assert not re.search("LAUNCHER_|_hook|_timeout", " ".join(map(str, told)))


def test_the_tree_at_the_top_of_the_module_names_every_error() -> None:
    assert errors.__doc__
    for kind in concrete():
        assert f" {kind.__name__} " in errors.__doc__
