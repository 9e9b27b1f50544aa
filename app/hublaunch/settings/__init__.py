"""The settings of hublaunch, with units and defaults. Nothing else reads the environment for the service."""

from hublaunch.settings.hub_environment import HUB_VARIABLES
from hublaunch.settings.loading import SettingsFault, load_keys_settings, load_settings, unknown_variables
from hublaunch.settings.settings import PREFIX, TOPICS, Settings
from hublaunch.settings.topics.images import BINDERHUB_EXTRA_ARGS

__all__ = [
    "BINDERHUB_EXTRA_ARGS",
    "HUB_VARIABLES",
    "PREFIX",
    "TOPICS",
    "Settings",
    "SettingsFault",
    "load_keys_settings",
    "load_settings",
    "unknown_variables",
]
