"""A real JupyterHub that exits after five failed spawns in a row, and broken images."""

from pathlib import Path

import pytest

from tests.hubs.quick_server import BROKEN_IMAGES
from tests.storm.bad_images import run

pytestmark = [pytest.mark.real_hub, pytest.mark.timeout(120)]

ONE_IMAGE = [f"{BROKEN_IMAGES}:1"] * 8
EIGHT_IMAGES = [f"{BROKEN_IMAGES}-{number}:1" for number in range(8)]


async def test_without_the_guard_a_broken_image_ends_the_hub(tmp_path: Path) -> None:
    outcome = await run(tmp_path, guard="off", images=ONE_IMAGE)

    assert not outcome.hub_is_up


async def test_a_broken_image_is_refused_after_two_failures_and_the_hub_stays_up(tmp_path: Path) -> None:
    outcome = await run(tmp_path, guard="normal", images=ONE_IMAGE)

    assert outcome.hub_is_up
    assert outcome.ended == {"image_failing": 6, "server_exited": 2}
    assert outcome.failed_spawns == 2


async def test_the_strict_guard_lets_no_more_broken_images_fail_than_the_hub_survives(tmp_path: Path) -> None:
    outcome = await run(tmp_path, guard="strict", images=EIGHT_IMAGES)

    assert outcome.hub_is_up
    assert outcome.ended == {"in the queue": 4, "server_exited": 4}
    assert outcome.failed_spawns == 4
