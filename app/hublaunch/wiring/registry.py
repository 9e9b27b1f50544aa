"""The registries of the service: those that the operator's image patterns and catalogue name."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

from hublaunch.registry.connect import connect_registries
from hublaunch.registry.lookup import LookupListener, RegistryLookups
from hublaunch.settings import Settings
from hublaunch.wiring.files import Files


@asynccontextmanager
async def open_registry(
    settings: Settings, files: Files, listeners: Sequence[LookupListener]
) -> AsyncGenerator[RegistryLookups | None]:
    """Open the registries, or yield None if pre-flight is off. Raises RegistryConfigFault."""
    if settings.preflight == "off":
        yield None
        return
    of_settings = image_patterns(settings)
    connecting = connect_registries(
        patterns=lambda: (
            *of_settings,
            *(files.api_keys.image_patterns if files.api_keys is not None else ()),
            *(environment.image for environment in files.catalogue().environments),
        ),
        config=settings.registry_config,
        platforms=settings.platforms,
    )
    async with connecting as client, aclosing(RegistryLookups(client=client, listeners=tuple(listeners))) as lookups:
        yield lookups


def image_patterns(settings: Settings) -> Sequence[str]:
    """Return the image patterns of the settings."""
    of_groups = (pattern for patterns in settings.group_allowed_images.values() for pattern in patterns)
    return (*settings.allowed_images, *of_groups)
