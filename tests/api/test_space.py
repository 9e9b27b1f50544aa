"""A disk that is nearly full."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from hublaunch.api.pace import WebPace
from hublaunch.launch.pace import Pace
from hublaunch.settings import Settings
from tests.support.served import BODY, serve


class Volume(NamedTuple):
    f_bavail: int
    f_frsize: int


CHECKING = replace(Pace(), check_space_s=0)


class Disk:
    """A disk whose free space in MiB a test sets."""

    def __init__(self) -> None:
        self.left = 5000

    def statvfs(self, _: object) -> Volume:
        return Volume(self.left * 256, 4096)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("hublaunch.store.sqlite.os.statvfs", disk.statvfs)
    return disk


async def test_below_the_floor_no_launch_is_accepted_and_everything_says_why(settings: Settings, disk: Disk) -> None:
    async with serve(settings, pace=CHECKING, web_pace=WebPace(status_kept_s=0)) as service:
        before = await service.launch()
        disk.left = 99
        refused = await service.http.post("/launch", json=BODY)
        ready = await service.http.get("/readyz")
        status = (await service.http.get("/status")).json()
        events = await service.events(before["events_url"])
        disk.left = 101
        after = await service.http.post("/launch", json=BODY)

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert int(refused.headers["Retry-After"]) > 0
    assert "LAUNCHER" not in refused.text
    assert (ready.status_code, ready.json()["space"]) == (200, {"free_mib": 99, "least_mib": 100, "full": True})
    assert (status["status"], status["reasons"]) == ("red", ["This service has no disk space left."])
    assert events[-1]["phase"] == "ready"
    assert after.status_code == 202


async def test_a_full_disk_does_not_refuse_a_repeated_request(settings: Settings, disk: Disk) -> None:
    key = {"Idempotency-Key": "a-key-of-22-characters-or-more"}
    async with serve(settings, pace=CHECKING) as service:
        first = await service.http.post("/launch", json=BODY, headers=key)
        disk.left = 1
        again = await service.http.post("/launch", json=BODY, headers=key)

    assert first.json()["id"] == again.json()["id"]


async def test_the_floor_can_be_turned_off(settings: Settings, disk: Disk) -> None:
    disk.left = 0
    async with serve(settings, min_free_space=0) as service:
        await service.launch()
