"""The settings by topic. Each class's docstring is the heading under which `make docs` lists its settings."""

from hublaunch.settings.topics.access import AccessSettings
from hublaunch.settings.topics.database import DatabaseSettings
from hublaunch.settings.topics.hub import HubSettings
from hublaunch.settings.topics.images import ImageSettings
from hublaunch.settings.topics.launches import LaunchSettings
from hublaunch.settings.topics.limits import LimitSettings
from hublaunch.settings.topics.observing import ObservingSettings
from hublaunch.settings.topics.queue import QueueSettings
from hublaunch.settings.topics.web import WebSettings

__all__ = [
    "TOPICS",
    "AccessSettings",
    "DatabaseSettings",
    "HubSettings",
    "ImageSettings",
    "LaunchSettings",
    "LimitSettings",
    "ObservingSettings",
    "QueueSettings",
    "WebSettings",
]

TOPICS = (
    HubSettings,
    AccessSettings,
    ImageSettings,
    LaunchSettings,
    QueueSettings,
    LimitSettings,
    DatabaseSettings,
    WebSettings,
    ObservingSettings,
)
"""In the order in which an operator meets them."""
