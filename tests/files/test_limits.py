"""The limits file: its contents, and the effect of changes."""

import logging
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from hublaunch.files.limits import LimitsFault, LimitsFile, read_limits
from hublaunch.launch.rules.quota import Scope
from hublaunch.launch.rules.quota_rules import Rule

TEXT = """
total: 500
callers:
  - {match: "anonymous:*", most: 5}
repositories:
  - match: github.com/pycon/*
    most: 300
    until: 2026-05-20
  - match: "*"
    most: 100
images:
  - match: quay.io/org/gpu*
    most: 8
    together: true
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "limits.yaml"
    path.write_text(TEXT)
    return path


def test_a_file_may_have_a_total_and_rules_of_three_kinds(path: Path) -> None:
    limits = read_limits(path)

    assert limits.total == 500
    assert limits.rules == (
        (Scope.CALLER, Rule(pattern="anonymous:*", most=5)),
        (Scope.REPOSITORY, Rule(pattern="github.com/pycon/*", most=300, until=datetime(2026, 5, 21, tzinfo=UTC))),
        (Scope.REPOSITORY, Rule(pattern="*", most=100)),
        (Scope.IMAGE, Rule(pattern="quay.io/org/gpu*", most=8, together=True)),
    )


def test_an_empty_object_means_no_limits(path: Path) -> None:
    path.write_text("{}")

    assert (read_limits(path).total, read_limits(path).rules) == (None, ())


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-05-20", datetime(2026, 5, 21, tzinfo=UTC)),
        ("'2026-05-20'", datetime(2026, 5, 21, tzinfo=UTC)),
        ("2026-05-20T18:00:00Z", datetime(2026, 5, 20, 18, tzinfo=UTC)),
        ("2026-05-20T18:00:00+02:00", datetime(2026, 5, 20, 16, tzinfo=UTC)),
        ("'2026-05-20T18:00+02:00'", datetime(2026, 5, 20, 18, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_an_end_is_a_date_or_a_time_with_its_zone(path: Path, text: str, at: datetime) -> None:
    path.write_text(f"callers: [{{match: a, most: 1, until: {text}}}]")

    ((_, rule),) = read_limits(path).rules

    assert rule.until == at


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file: Input should be a valid dictionary"),
        ("[]", "the file: Input should be a valid dictionary"),
        ("total: -1", "total: Input should be greater than or equal to 0"),
        ("total: true", "total: Input should be a valid integer"),
        ("total: '5'", "total: Input should be a valid integer"),
        ("totl: 5", "totl: Extra inputs are not permitted"),
        ("callers: [{match: a}]", "callers.0.most: Field required"),
        ("callers: [{match: a, most: 1, mots: 1}]", "callers.0.mots: Extra inputs"),
        ("callers: [{match: a, most: 1, until: 2026}]", "callers.0.until: must be a date, or a time with its zone"),
        ("callers: [{match: a, most: 1, until: 2026-05-20T18:00:00}]", "callers.0.until: must be a date"),
        ("callers: [{match: a, most: 1, until: 9999-12-31}]", "callers.0.until: must be a date"),
        ("callers: [{match: a, most: 1, until: tomorrow}]", "callers.0.until: must be a date"),
        ("images: [{match: 'python:3', most: 1}]", "images.0.match: must have neither tag nor digest"),
        ("repositories: [{match: '*', most: 1}, {match: github.com, most: 1}]", "repositories.1.match: must name more"),
        ("total: 5\ntotal: 6", "line 1: total appears twice"),
        ("callers:\n  - match: *\n", "line 2: "),
        ("callers: [{match: a, most: 1, until: 2026-06-31}]", "line 1: day is out of range for month"),
        ("total: 5\ncallers:\n  - {match: a, most: 1, until: 2026-05-20 25:00:00}", "line 3: hour must be in 0..23"),
        ("total: !!timestamp soon", "line 1: "),
        ("total: " + 5000 * "9", "line 1: "),
        ("total: 0x" + 5000 * "9", "total: Input should be less than or equal to 1000000000"),
        (2000 * "[", "nested too deeply"),
        (2000 * "{a: ", "nested too deeply"),
        ("total: 5 #" + 2**20 * "x", "longer than 1 MiB"),
        ("total: {", "neither YAML nor JSON"),
        ("total: \x00", "neither YAML nor JSON"),
        ("!!python/object/apply:os.system ['false']", "neither YAML nor JSON"),
    ],
)
def test_an_error_names_the_file_and_the_place_in_one_sentence(path: Path, text: str, words: str) -> None:
    path.write_text(text)

    with pytest.raises(LimitsFault) as fault:
        read_limits(path)

    assert str(fault.value).startswith(f"The limits in {path} ")
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_missing_file_and_a_binary_file_are_refused(path: Path) -> None:
    with pytest.raises(LimitsFault, match="are unreadable: No such file or directory"):
        read_limits(path.with_name("no-such-file"))
    path.write_bytes(b"\xff")
    with pytest.raises(LimitsFault, match="not UTF-8"):
        read_limits(path)


def test_a_change_applies_from_the_next_check(path: Path) -> None:
    file = LimitsFile(path)
    path.write_text("total: 7")

    before = file.content
    file.check()

    assert (before.total, file.content.total) == (500, 7)
    assert file.report() == {"rules": 0, "fault": None}


def test_an_invalid_change_keeps_the_limits_and_is_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = LimitsFile(path)
    path.write_text("total: many")

    with caplog.at_level(logging.INFO, logger="hublaunch.files.watched"):
        file.check()
        file.check()
        reported = file.report()
        path.unlink()
        file.check()
        path.write_text(TEXT)
        file.check()

    assert file.content.total == 500
    assert reported["rules"] == 4
    assert "total: Input should be a valid integer" in reported["fault"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert caplog.messages[0].endswith("Until this is fixed, the previous limits apply.")
    assert "No such file" in caplog.messages[1]
    assert file.report()["fault"] is None


@pytest.mark.thorough
def test_a_file_with_many_keys_is_refused_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("".join(f"a{number}: 1\n" for number in range(30_000)))
    began_at = time.process_time()

    with pytest.raises(LimitsFault, match="Extra inputs"):
        read_limits(path)

    assert time.process_time() - began_at < 12  # quadratic work takes three times as long
