"""Brings the files of the repository that pages link to into the site, so that no link leads out of it.

Pages link to each other and to files by their paths in the repository, so the links work wherever the repository is
shown. The site has files from outside `docs/` below `repository/`: Markdown as pages, everything else unchanged.
properdocs calls the two functions by their names (`hooks` in properdocs.yml).
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from properdocs.structure.files import File, Files
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"""(?P<before>\]\(|(?:src|href)=")(?P<path>[^)"#:\s]+)(?P<after>[#)"])""")


def on_files(files: Files, *, config: Any) -> Files:
    """Add what pages link to, and what those link to."""
    unread = [_in_repository(file.src_uri) for file in files if file.src_uri.endswith(".md")]
    while unread:
        page = unread.pop()
        for target in _targets(page):
            uri = _in_site(target)
            if files.get_file_from_path(uri) is None and (ROOT / target).is_file():
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
                if target.endswith(".md"):
                    unread.append(target)
    files.append(
        File.generated(config, "pygments.css", content=HtmlFormatter(style="xcode").get_style_defs(".codehilite"))
    )
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Turn links by places in the repository into links by places in the site."""
    uri = page.file.src_uri

    def turned(link: re.Match[str]) -> str:
        target = _target(_in_repository(uri), link["path"])
        path = posixpath.relpath(_in_site(target), posixpath.dirname(uri) or ".")
        return f"{link['before']}{path}{link['after']}"

    return _LINK.sub(turned, markdown)


def _targets(page: str) -> list[str]:
    return [_target(page, link["path"]) for link in _LINK.finditer((ROOT / page).read_text())]


def _target(page: str, path: str) -> str:
    """Return the path that a page's link leads to; for a directory, that of its README."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return f"{target}/README.md" if (ROOT / target).is_dir() else target


def _in_repository(uri: str) -> str:
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"


def _in_site(target: str) -> str:
    # What begins with a dot is left out of sites.
    return target.removeprefix("docs/") if target.startswith("docs/") else f"repository/{target.lstrip('.')}"
