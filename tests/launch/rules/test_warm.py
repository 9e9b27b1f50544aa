"""When a window is open, and how many servers an environment keeps ready."""

from datetime import UTC, datetime, timedelta

import pytest

from hublaunch.launch.rules.warm import Warm, Window

MONDAYS = Window(cron="45 8 * * mon", timezone="Europe/Oslo", for_s=7200, keep=60)
OPENS_AT = datetime(2026, 11, 30, 7, 45, tzinfo=UTC)  # a Monday, 08:45 in Oslo


@pytest.mark.parametrize(
    ("after_s", "early_s", "is_open"),
    [
        (-1, 0, False),
        (0, 0, True),
        (7199, 0, True),
        (7200, 0, False),
        (-600, 600, True),
        (-601, 600, False),
        (7200, 600, False),
        (86_400, 600, False),
    ],
)
def test_a_window_is_open_from_its_time_on_and_counts_earlier_if_asked(
    after_s: float, early_s: float, is_open: bool
) -> None:
    assert MONDAYS.is_open(OPENS_AT + timedelta(seconds=after_s), early_s=early_s) is is_open


def test_a_window_follows_the_daylight_saving_of_its_time_zone() -> None:
    in_summer, in_winter = datetime(2026, 7, 6, 6, 45, tzinfo=UTC), datetime(2026, 12, 7, 7, 45, tzinfo=UTC)

    assert MONDAYS.is_open(in_summer)
    assert not MONDAYS.is_open(in_summer - timedelta(seconds=1))
    assert MONDAYS.is_open(in_winter)
    assert not MONDAYS.is_open(in_winter - timedelta(seconds=1))


def test_a_time_that_daylight_saving_skips_is_the_first_minute_after_the_gap() -> None:
    in_the_gap = Window(cron="30 2 29 3 *", timezone="Europe/Oslo", for_s=60, keep=1)
    after_the_gap = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00 in Oslo

    assert in_the_gap.is_open(after_the_gap)
    assert not in_the_gap.is_open(after_the_gap - timedelta(seconds=1))


def test_a_window_across_the_end_of_daylight_saving_is_open_for_its_seconds() -> None:
    night = Window(cron="0 1 25 10 *", timezone="Europe/Oslo", for_s=4 * 3600, keep=1)
    opens_at = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)

    assert night.is_open(opens_at + timedelta(seconds=4 * 3600 - 1))
    assert not night.is_open(opens_at + timedelta(seconds=4 * 3600))


def test_windows_that_open_more_often_than_they_close_are_always_open() -> None:
    hourly = Window(cron="0 * * * *", timezone="UTC", for_s=7200, keep=1)

    assert all(hourly.is_open(OPENS_AT + timedelta(minutes=minute)) for minute in range(180))


def test_the_largest_open_window_counts_and_keep_is_the_least() -> None:
    smaller = Window(cron="0 8 * * mon", timezone="Europe/Oslo", for_s=86_400, keep=20)
    warm = Warm(keep=5, most=5, max_age_s=3600, windows=(MONDAYS, smaller))

    def floor(at: datetime) -> int:
        return warm.floor(at, fill_s=lambda count: 0.0)

    assert floor(OPENS_AT) == 60
    assert floor(OPENS_AT - timedelta(seconds=1)) == 20
    assert floor(OPENS_AT - timedelta(hours=1)) == 5


def test_a_window_of_more_servers_begins_to_fill_earlier() -> None:
    warm = Warm(keep=0, most=0, max_age_s=3600, windows=(MONDAYS,))

    assert warm.floor(OPENS_AT - timedelta(seconds=600), fill_s=lambda count: count * 10.0) == 60
    assert warm.floor(OPENS_AT - timedelta(seconds=601), fill_s=lambda count: count * 10.0) == 0
