"""What visitors see of the operator: the name, the logo and the links of every page."""

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

_PAGES = Path(__file__).parent.parent / "web" / "page"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The operator's name, logo, banner and links, which every page shows."""

    name: str = "hublaunch"
    logo: str | None = None
    """The URL of an image; None for hublaunch's own."""
    banner: str = ""
    help: str | None = None
    terms: str | None = None

    @property
    def image_sources(self) -> str:
        """The sources of images, for `img-src` of the Content-Security-Policy."""
        url = urlsplit(self.logo or "")
        return f"'self' data: {url.scheme}://{url.netloc}" if url.netloc else "'self' data:"

    def page(self, file: str, *, root: str, **words: str) -> str:
        """Return a page of `web/page`. `root` leads from the page to the service, without a slash at its end.

        `words` are the other words that the page has a place for, as text.
        """
        links = {"Help": self.help, "Terms of use": self.terms}
        shown = "".join(f'<a href="{escape(url)}">{text}</a>' for text, url in links.items() if url)
        banner = f'<aside class="banner" aria-label="Announcement">{escape(self.banner)}</aside>' if self.banner else ""
        logo = self.logo or f"{root}/static/page/icon.svg"
        plain = {"root": root, "name": self.name, "logo": logo, **words}
        return _template(file).substitute(
            {word: escape(text) for word, text in plain.items()}, banner=banner, links=shown
        )


@cache
def _template(file: str) -> Template:
    return Template((_PAGES / file).read_text(encoding="utf-8"))
