"""The checks of `hublaunch doctor`: settings, catalogue, the Hub, its addresses, the database, the running service."""

from collections.abc import AsyncGenerator
from pathlib import Path

from hublaunch.doctor.addresses import examine_addresses
from hublaunch.doctor.catalogue import examine_catalogue_images
from hublaunch.doctor.configuration import examine_configuration
from hublaunch.doctor.database import examine_database
from hublaunch.doctor.finding import Finding
from hublaunch.doctor.hub import examine_hub
from hublaunch.doctor.profiles import examine_profiles
from hublaunch.doctor.service import examine_proxies
from hublaunch.doctor.warm import examine_warm
from hublaunch.hub.connect import connect_hub
from hublaunch.settings import Settings, SettingsFault

__all__ = ["Finding", "examine"]


async def examine(settings: Settings, *, port: int, z2jh_values: Path | None = None) -> AsyncGenerator[Finding]:
    """Yield the findings one by one. Nothing is launched, created or changed.

    `port`: the port on which the service listens on this machine, if it runs. `z2jh_values`: a file with the values of
    z2jh, whose profiles and limits are
    checked.
    """
    for finding in examine_configuration(settings):
        yield finding
    async for finding in examine_catalogue_images(settings):
        yield finding
    if z2jh_values is not None:
        for finding in examine_profiles(settings, z2jh_values):
            yield finding
    for finding in examine_warm(settings, z2jh_values):
        yield finding
    try:
        # Without retries: operators want to read about a fault, not to wait for it to pass.
        async with connect_hub(settings.model_copy(update={"retries": 1})) as hub:
            async for finding in examine_hub(settings, hub):
                yield finding
        async for finding in examine_addresses(settings):
            yield finding
    except SettingsFault as fault:
        yield Finding(check="Hub", state="fault", message=str(fault), advice="Correct the TLS files.")
    async for finding in examine_database(settings):
        yield finding
    yield await examine_proxies(port)
