"""The start of a process that serves: its settings, its logging, and warnings about both."""

import logging
import sys

from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.settings import Settings, SettingsFault, load_settings, unknown_variables
from hublaunch.wiring.logs import configure_logging
from hublaunch.wiring.rules import warm_obstacles

log = logging.getLogger(__name__)


def settings_or_exit() -> Settings:
    """Return the settings from the environment and `.env`, and configure logging with them.

    Invalid settings end the process with a message.
    """
    try:
        settings = load_settings()
    except SettingsFault as fault:
        sys.exit(str(fault))
    configure_logging(settings.log_level, settings.log_format)
    if unknown := unknown_variables():
        log.warning("These variables are not settings and have no effect: %s", ", ".join(unknown))
    return settings


def warn_about(settings: Settings, catalogue: Catalogue) -> None:
    """Log a warning for each valid setting that an operator probably does not want."""
    if not (settings.allowed_images or settings.group_allowed_images or settings.catalogue_file):
        log.warning("LAUNCHER_ALLOWED_IMAGES is empty: every launch will be refused")
    if settings.token_mode == "user_options":
        log.warning(
            "LAUNCHER_TOKEN_MODE=user_options: JupyterHub keeps each visitor's token in the clear, and the server has "
            "it in its arguments. LAUNCHER_TOKEN_MODE=hub avoids both."
        )
    if any(environment.warm for environment in catalogue.environments):
        for obstacle in warm_obstacles(settings):
            log.warning("%s So no server is kept warm, although the catalogue asks for it", obstacle)
