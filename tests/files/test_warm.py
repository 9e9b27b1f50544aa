"""The block `warm` of an environment in the catalogue's file."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hublaunch.files.catalogue import CatalogueFault, catalogue_schema, read_catalogue
from hublaunch.launch.rules.warm import Warm, Window

TEXT = """
environments:
  course:
    title: Statistics
    image: quay.io/org/statistics:1
    content: %s
    sizes: %s
    warm: %s
sizes:
  staff: {title: Staff, user_options: {profile: staff}, groups: [staff]}
  small: {title: Small, user_options: {profile: small}}
  large: {title: Large, user_options: {profile: large}}
"""
MONDAYS = '{cron: "45 8 * * mon", timezone: Europe/Oslo, for_s: 7200, keep: 60}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


def text(warm: str, *, content: str = "none", sizes: str = "[staff, small, large]") -> str:
    return TEXT % (content, sizes, warm)


def warm_in(path: Path, content: str) -> Warm | None:
    path.write_text(content)
    return read_catalogue(path).environments[0].warm


def test_an_environment_without_the_block_keeps_nothing_warm(path: Path) -> None:
    assert warm_in(path, text("null")) is None


def test_everything_can_be_set(path: Path) -> None:
    warm = warm_in(path, text(f"{{keep: 2, most: 10, max_age_s: 1800, sizes: [large, small], windows: [{MONDAYS}]}}"))

    mondays = Window(cron="45 8 * * mon", timezone="Europe/Oslo", for_s=7200, keep=60)
    assert warm == Warm(keep=2, most=10, max_age_s=1800, sizes=("large", "small"), windows=(mondays,))


def test_keep_alone_is_enough_and_demand_does_not_raise_it(path: Path) -> None:
    assert warm_in(path, text("{keep: 2}")) == Warm(keep=2, most=2, max_age_s=3600, sizes=("small",))
    assert warm_in(path, text("{keep: 0}", sizes="[]")) == Warm(keep=0, most=0, max_age_s=3600)


IN_SCHEMA_TOO = [
    ("2", "line 8: environments.course.warm: Input should be a valid dictionary"),
    ("{}", "line 8: environments.course.warm.keep: Field required"),
    ("{keep: -1}", "environments.course.warm.keep: Input should be greater than or equal to 0"),
    ("{keep: 1.5}", "environments.course.warm.keep: Input should be a valid integer"),
    ("{keep: 10001}", "environments.course.warm.keep: Input should be less than or equal to 10000"),
    ("{keep: 1, max_age_s: 59}", "environments.course.warm.max_age_s: Input should be greater than or equal to 60"),
    ("{keep: 1, maximum: 5}", "environments.course.warm.maximum: Extra inputs are not permitted"),
    ("{keep: 1, windows: [{for_s: 60, keep: 1}]}", "environments.course.warm.windows.0.cron: Field required"),
    ('{keep: 1, windows: [{cron: "* * * * *", for_s: 9, keep: 1}]}', "warm.windows.0.for_s: Input should be greater"),
]
"""Blocks that the schema refuses too, with words of the fault."""


def window(**changes: Any) -> str:
    return str({"keep": 1, "windows": [{"cron": "45 8 * * mon", "for_s": 60, "keep": 1} | changes]})


IN_THE_FILE_ONLY = [
    ("{keep: 3, most: 2}", "line 8: environments.course.warm.most: must not be below keep"),
    ("{keep: 1, sizes: [tiny]}", "warm.sizes.0: must be one of the sizes of this environment"),
    ("{keep: 1, sizes: [small, small]}", "warm.sizes: must not list a size twice"),
    ("{keep: 1, sizes: [small, staff]}", "warm.sizes.1: must be a size without groups"),
    (window(cron="45 8 * * monday"), "warm.windows.0.cron: must be a cron expression such as 45 8 * * mon"),
    (window(cron="@weekly"), "warm.windows.0.cron: must be a cron expression of five fields"),
    (window(cron="0 45 8 * * mon"), "warm.windows.0.cron: must be a cron expression of five fields"),
    (window(cron="0 0 30 2 *"), "warm.windows.0.cron: must be a cron expression such as 45 8 * * mon (bad day"),
    (window(cron="0 0 */29 2 sat#4"), "warm.windows.0.cron: must be a cron expression whose date exists"),
    (window(timezone="Oslo"), "warm.windows.0.timezone: must be a time zone such as Europe/Oslo"),
    (window(timezone="Europe"), "warm.windows.0.timezone: must be a time zone such as Europe/Oslo"),
    (window(timezone="../etc/passwd"), "warm.windows.0.timezone: must be a time zone such as Europe/Oslo"),
]


@pytest.mark.parametrize(("warm", "words"), IN_SCHEMA_TOO + IN_THE_FILE_ONLY)
def test_a_fault_names_the_line_and_the_place(path: Path, warm: str, words: str) -> None:
    with pytest.raises(CatalogueFault, match="line 8") as fault:
        warm_in(path, text(warm))

    assert words in str(fault.value)


def test_a_repository_that_the_spawner_fetches_cannot_be_in_a_server_that_runs_already(path: Path) -> None:
    with pytest.raises(CatalogueFault, match=r"course.warm: must not be set with content: spawner"):
        warm_in(path, text("{keep: 1}", content="spawner"))


def test_a_size_of_a_group_cannot_be_kept_warm(path: Path) -> None:
    with pytest.raises(CatalogueFault, match=r"course.warm: needs a size without groups"):
        warm_in(path, text("{keep: 1}", sizes="[staff]"))


def test_two_environments_do_not_keep_the_same_servers(path: Path) -> None:
    one = "{title: One, image: python, warm: {keep: 1}}"
    path.write_text(f"environments:\n  one: {one}\n  two: {one.replace('python', 'docker.io/library/python:latest')}")

    with pytest.raises(
        CatalogueFault, match=r"line 3: environments.two.warm: must not keep servers of the same image and size as one"
    ):
        read_catalogue(path)


def test_the_schema_accepts_what_the_file_may_have() -> None:
    for warm in ("null", "{keep: 0}", f"{{keep: 2, most: 10, sizes: [small], windows: [{MONDAYS}]}}"):
        jsonschema.validate(yaml.safe_load(text(warm)), catalogue_schema())


@pytest.mark.parametrize("warm", [warm for warm, _ in IN_SCHEMA_TOO])
def test_the_schema_refuses_what_it_can_see(warm: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text(warm)), catalogue_schema())
