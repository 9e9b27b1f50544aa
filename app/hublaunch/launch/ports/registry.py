"""The port to registries: what they say about an image."""

from typing import Protocol

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryAnswer


class Registry(Protocol):
    """The registries that images are in."""

    async def look_up(self, image: ImageReference) -> RegistryAnswer:
        """Ask the image's registry for the image's manifest (OCI distribution spec). This takes a few seconds at most.

        Recent answers are repeated, and simultaneous calls for one image share one lookup, which continues if a call is
        cancelled. Faults of the registry are answers too.
        """
