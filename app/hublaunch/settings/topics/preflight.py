"""Settings of pre-flight: the check at an image's registry before the Hub is asked."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import Platforms


class PreflightSettings(Topic):
    """Images that do not exist: docs/preflight.md."""

    preflight: Literal["off", "auto", "require"] = "auto"
    """Whether the image's registry is asked before the Hub: auto refuses images that the registry does not have,
    require also refuses images that could not be checked, off asks no registry. Only registries that patterns of
    allowed images or the catalogue name are asked.
    """
    registry_config: Path | None = Field(None, examples=["/etc/hublaunch/registry/config.json"])
    """Docker config.json with credentials for registries. It is read again when it changes."""
    registry_config_pulls: bool = False
    """Whether the spawner pulls with the credentials of LAUNCHER_REGISTRY_CONFIG. If it does, an image that these
    credentials cannot see is refused.
    """
    pin_digest: bool = False
    """Give the spawner the digest that the registry has for the image, instead of the tag."""
    platforms: Platforms = Field((), examples=["linux/amd64"])
    """Platforms of the nodes. An image of several platforms is refused if it has none of these. Empty: not checked."""

    @field_validator("pin_digest")
    @classmethod
    def _pin_digest(cls, value: bool, known: ValidationInfo) -> bool:
        if value and known.data.get("preflight") == "off":
            raise ValueError("needs LAUNCHER_PREFLIGHT=auto or require, which find the digest")
        return value
