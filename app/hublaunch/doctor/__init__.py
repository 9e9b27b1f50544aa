"""The checks of `hublaunch doctor`: settings, the Hub, its addresses, the database, and the running service."""

from collections.abc import AsyncGenerator

from hublaunch.doctor.addresses import examine_addresses
from hublaunch.doctor.configuration import examine_configuration
from hublaunch.doctor.database import examine_database
from hublaunch.doctor.finding import Finding
from hublaunch.doctor.hub import examine_hub
from hublaunch.doctor.service import examine_proxies
from hublaunch.hub.connect import connect_hub
from hublaunch.settings import Settings, SettingsFault

__all__ = ["Finding", "examine"]


async def examine(settings: Settings, *, port: int) -> AsyncGenerator[Finding]:
    """Yield the findings one by one. Nothing is launched, created or changed.

    `port`: the port on which the service listens on this machine, if it runs.
    """
    for finding in examine_configuration(settings):
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
