"""The keys of the catalogue's pools, which every request for a launch needs."""

from pathlib import Path

from hublaunch.settings import Settings
from hublaunch.wiring.pools import PoolKeys
from tests.support.warm import POOL_KEY, warm_catalogue, write_warm


def test_keys_are_computed_once_for_each_version_of_the_catalogue(tmp_path: Path) -> None:
    file = warm_catalogue(tmp_path)
    keys = PoolKeys(Settings(hub_url="https://hub.example.org/", hub_api_token="t" * 32), lambda: file.content).keys

    first = keys()
    assert [str(key) for key in first] == [POOL_KEY]
    assert keys() is first

    write_warm(tmp_path / "catalogue.yaml", "{keep: 2}")
    file.check()
    assert keys() is not first
