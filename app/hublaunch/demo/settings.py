"""The settings of the hublaunch that the demo runs."""

import os
import secrets
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from hublaunch.demo.catalogue import write_catalogue
from hublaunch.demo.check import CHECK_BODY
from hublaunch.demo.errors import DemoError
from hublaunch.demo.images import SIMULATED_IMAGES
from hublaunch.demo.process import HubProcess
from hublaunch.settings import Settings
from hublaunch.settings.types import Origins

_ORIGINS_VARIABLE = "LAUNCHER_CORS_ORIGINS"
_NEVER_PAUSES = 1_000_000
"""The demo's Hub never exits after failed spawns, so the guard never pauses. It still refuses bad images."""


class DemoSettings(Settings):
    """Settings that ignore the environment and `.env`, which may be for another Hub, as in a terminal of JupyterHub."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def demo_settings(hub: HubProcess, *, origins: Sequence[str], spawns: int, warm: int) -> DemoSettings:
    """Return the settings for this Hub, with a new random prefix.

    `spawns`: launches at the Hub at once. `warm`: servers that are kept ready.
    """
    return DemoSettings(
        hub_url=hub.public_url,
        hub_url_local=hub.local_url,
        hub_api_token=hub.token,
        database_url=f"sqlite:///{hub.state}/hublaunch.sqlite",
        allowed_images=(CHECK_BODY["image"], *(simulated.image for simulated in SIMULATED_IMAGES), "*"),
        catalogue_file=write_catalogue(hub.state, warm=warm),
        cors_origins=tuple(origins),
        max_concurrent_spawns=spawns,
        max_warm_servers=warm,
        hub_failure_limit=_NEVER_PAUSES,
        preflight="off",  # its spawner simulates the images
        prefix=f"/{secrets.token_urlsafe(24)}",
    )


def allowed_origins(options: Sequence[str]) -> tuple[str, ...]:
    """Return the origins of `--cors` and of LAUNCHER_CORS_ORIGINS, each once. Raises DemoError for anything else."""
    origins: list[str] = []
    for name, given in {"--cors": list(options), _ORIGINS_VARIABLE: os.environ.get(_ORIGINS_VARIABLE, "")}.items():
        try:
            origins += TypeAdapter(Origins).validate_python(given)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise DemoError(f"{name}: {reason}.") from error
    return tuple(dict.fromkeys(origins))
