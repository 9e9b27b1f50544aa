"""The Hub's messages, cleaned so that others may see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.messages import MESSAGE_MAX, clean


@pytest.mark.parametrize(
    ("message", "cleaned"),
    [
        ("Spawning server...", "Spawning server..."),
        ("two\nlines\r\n and\ttabs", "two lines and tabs"),
        ("a\x00b\x1b[31mred", "a b [31mred"),
        ("forged\u2028line\u202e", "forged line"),
        ("pull https://user:hunter2@quay.io/img failed", "pull https://quay.io/img failed"),
        ("see http://hub:8081/user/x/lab?token=hunter2&a=b now", "see http://hub:8081/user/x/lab now"),
        ("see /user/x/lab?token=hunter2", "see /user/x/lab"),
        ("what? no", "what? no"),
        ("\ud800 lone", "lone"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        ("\U0001f469\u200d\U0001f52c done", "\U0001f469\u200d\U0001f52c done"),
        ("to\u200dken \u200cx", "to ken x"),
        ("\u06cc\u200c\u200c\u200b\u200dx", "\u06cc\u200c x"),
    ],
)
def test_a_message_becomes_one_line_without_credentials_in_urls(message: str, cleaned: str) -> None:
    assert clean(message) == cleaned


@given(st.text(max_size=3000))
def test_every_message_becomes_short_and_one_line(message: str) -> None:
    cleaned = clean(message)

    assert len(cleaned) <= MESSAGE_MAX
    assert len(cleaned.splitlines()) <= 1
    assert cleaned.replace("\u200c", "").replace("\u200d", "").isprintable()
    cleaned.encode()


def test_a_long_message_is_cut_and_ends_with_an_ellipsis() -> None:
    assert clean("x" * 5000) == "x" * (MESSAGE_MAX - 1) + "…"
