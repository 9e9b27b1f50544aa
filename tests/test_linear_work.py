"""No pattern takes quadratic time on foreign text, because a single match would block the event loop for everybody."""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

import hublaunch
from hublaunch.launch.rules.causes import cause_of
from hublaunch.launch.rules.messages import clean
from hublaunch.launch.rules.percent import decoded
from hublaunch.launch.rules.repo import repo_name
from hublaunch.launch.rules.repo_url import check_repo_url

LENGTH = 10_000
SECONDS = 0.25
"""CPU time. Linear work takes a few milliseconds, quadratic work seconds."""
BEGINNINGS = ("", "https://", "?", "a@", "Error: failed to create ", '500 Server Error ("', "HTTP 500: error (")
PIECES = (
    *("/", "//", "a", ".", ":", "://", "@", "%25", "?", "; ", ".git", "/.git", "a.", "a-", "x/x?", "ä", "{", '"', "9 "),
    *("exec: a: ", "no image found in ", "HTTP response body: {", '"message":', '500 Server Error ("', "401 A(reason="),
)
TEXTS = [beginning + piece * (LENGTH // len(piece)) + "!" for beginning in BEGINNINGS for piece in PIECES]
BOUNDED = {f"hublaunch.launch.rules.{name}" for name in ("image._IMAGE", "repo_url._AUTHORITY", "repo_url._SCP_LIKE")}
"""Patterns that are matched only against a whole text of limited length."""
AT_THE_BEGINNING = (
    "_PARAMETER",
    "_SCHEME",
    "SIGNS",
    "MARKS",
    "_HEAD",
    "_PULLED",
    "_KUBERNETES_ANSWER",
    "_NAMED",
    "_PAIR",
)
"""Patterns that are matched only at the start of a text."""


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield the patterns of the modules that read text from callers, the Hub and spawners."""
    for package in ("hublaunch.launch", "hublaunch.binderhub", "hublaunch.api", "hublaunch.hub", "hublaunch.registry"):
        for found in pkgutil.walk_packages([f"{hublaunch.__path__[0]}/{package.partition('.')[2]}"], f"{package}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                named = [value] if isinstance(value, re.Pattern) else []
                if name in ("SIGNS", "MARKS"):
                    named = [sign.words for sign in value]
                yield from ((f"{found.name}.{name}", each) for each in named if isinstance(each.pattern, str))


PATTERNS = dict(enumerate(patterns()))


@pytest.mark.parametrize("number", PATTERNS, ids=[f"{name}-{number}" for number, (name, _) in PATTERNS.items()])
def test_a_pattern_takes_linear_time(number: int) -> None:
    name, pattern = PATTERNS[number]
    look = (
        pattern.match if name.endswith(AT_THE_BEGINNING) else pattern.fullmatch if name in BOUNDED else pattern.search
    )

    for text in TEXTS:
        began_at = time.process_time()
        look(text)
        assert time.process_time() - began_at < SECONDS, text[:60]


def test_foreign_text_is_cleaned_decoded_and_named_in_linear_time() -> None:
    texts = [*TEXTS, "https://h/%" + "25" * LENGTH, "https://h/" + ("%25" * 20 + "a" * 5) * 300]

    for text in texts:
        began_at = time.process_time()
        clean(text)
        decoded(text)
        repo_name(text)
        cause_of(f"Spawn failed: {text}", [])
        assert time.process_time() - began_at < SECONDS, text[:60]


def test_a_repository_encoded_too_many_times_is_refused() -> None:
    check_repo_url("https://h/" + "%" + "25" * 9 + "41")

    with pytest.raises(ValueError, match="must contain neither"):
        check_repo_url("https://h/" + "%" + "25" * 11 + "41")
