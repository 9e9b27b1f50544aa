"""Settings of the pages: what visitors see of the operator."""

from pydantic import Field

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import Link, Logo


class SiteSettings(Topic):
    """The operator's name and links on the pages: docs/page.md."""

    site_name: str = Field("hublaunch", min_length=1, max_length=60, examples=["Jupyter at Example University"])
    """Name of this service for visitors, at the top of every page and on launch links."""
    site_logo: Logo | None = Field(None, examples=["https://www.example.org/logo.svg"])
    """Logo beside the name: the URL of an image, or the image itself as a data URL in base64."""
    site_banner: str = Field("", max_length=300, examples=["Maintenance on Friday from 18:00 to 20:00"])
    """Text at the top of every page, such as an announcement."""
    site_help: Link | None = Field(None, examples=["mailto:help@example.org"])
    """URL of a page where visitors find help, or `mailto:` with an address. Every page links to it."""
    site_terms: Link | None = Field(None, examples=["https://www.example.org/terms"])
    """URL of the terms of use. Every page links to it."""
