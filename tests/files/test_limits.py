"""The file of limits: what it may say, and what becomes of one that changes."""

import json
import logging
import os
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


def test_all_that_it_may_say(path: Path) -> None:
    limits = read_limits(path)

    assert limits.total == 500
    assert limits.rules == (
        (Scope.CALLER, Rule(pattern="anonymous:*", most=5)),
        (Scope.REPOSITORY, Rule(pattern="github.com/pycon/*", most=300, until=datetime(2026, 5, 21, tzinfo=UTC))),
        (Scope.REPOSITORY, Rule(pattern="*", most=100)),
        (Scope.IMAGE, Rule(pattern="quay.io/org/gpu*", most=8, together=True)),
    )


def test_json_will_do(path: Path) -> None:
    path.write_text(
        json.dumps({"total": 5, "callers": [{"match": "hub:*", "most": 0, "until": "2026-05-20"}]}, indent=4)
    )

    limits = read_limits(path)

    assert limits.total == 5
    assert limits.rules == ((Scope.CALLER, Rule(pattern="hub:*", most=0, until=datetime(2026, 5, 21, tzinfo=UTC))),)


def test_no_limits_are_an_empty_object(path: Path) -> None:
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
        ("total: 5\ntotal: 6", "line 1: total is there twice"),
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
def test_a_fault_is_one_sentence_that_names_the_file_and_the_place(path: Path, text: str, words: str) -> None:
    path.write_text(text)

    with pytest.raises(LimitsFault) as fault:
        read_limits(path)

    assert str(fault.value).startswith(f"The limits in {path} ")
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there_or_not_text_is_said_to_be_so(path: Path) -> None:
    with pytest.raises(LimitsFault, match="cannot be read: No such file or directory"):
        read_limits(path.with_name("no-such-file"))
    path.write_bytes(b"\xff")
    with pytest.raises(LimitsFault, match="not UTF-8"):
        read_limits(path)


def test_a_change_holds_from_the_next_look_on(path: Path) -> None:
    file = LimitsFile(path)
    path.write_text("total: 7")

    before = file.limits
    file.look()

    assert (before.total, file.limits.total) == (500, 7)
    assert file.report() == {"rules": 0, "fault": None}


def test_a_bad_change_leaves_the_old_limits_and_says_so_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = LimitsFile(path)
    path.write_text("total: many")

    with caplog.at_level(logging.INFO, logger="hublaunch.files.limits"):
        file.look()
        file.look()
        reported = file.report()
        path.unlink()
        file.look()
        path.write_text(TEXT)
        file.look()

    assert file.limits.total == 500
    assert reported["rules"] == 4
    assert "total: Input should be a valid integer" in reported["fault"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert caplog.messages[0].endswith("Until then the limits from before hold.")
    assert "No such file" in caplog.messages[1]
    assert file.report()["fault"] is None


@pytest.mark.parametrize("bad", ["callers: [{match: a, most: 1, until: 2026-06-31}]", 2000 * "["])
def test_a_corrected_file_is_read_after_a_bad_one(path: Path, bad: str) -> None:
    file = LimitsFile(path)

    path.write_text(bad)
    file.look()
    path.write_text("total: 7")
    file.look()

    assert file.limits.total == 7
    assert file.report() == {"rules": 0, "fault": None}


def test_a_file_that_meets_an_unforeseen_error_is_read_again_at_every_look(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LimitsFile(path)
    path.write_text("total: 7")
    with monkeypatch.context() as broken:
        broken.delattr("hublaunch.files.limits.read_limits")
        with pytest.raises(NameError):
            file.look()

    file.look()

    assert file.limits.total == 7


def test_a_config_map_that_is_swapped_by_its_link_is_read_again(tmp_path: Path) -> None:
    """Kubernetes writes a new directory and turns one link to it; size and even times may be the same."""
    for number in (1, 2):
        directory = tmp_path / f"..{number}"
        directory.mkdir()
        (directory / "limits.yaml").write_text(f"total: {number}")
        os.utime(directory / "limits.yaml", (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "limits.yaml").symlink_to("..data/limits.yaml")
    file = LimitsFile(tmp_path / "limits.yaml")

    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    file.look()

    assert file.limits.total == 2


def test_a_file_that_has_not_changed_is_not_read_again(path: Path) -> None:
    file = LimitsFile(path)
    before = file.limits

    file.look()

    assert file.limits is before


def test_a_file_with_many_keys_is_refused_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("".join(f"a{number}: 1\n" for number in range(30_000)))
    began_at = time.process_time()

    with pytest.raises(LimitsFault, match="Extra inputs"):
        read_limits(path)

    assert time.process_time() - began_at < 12  # quadratic work takes three times as long
