"""Opening a server in the browser without putting its token into a process's arguments."""

import html
import time
import webbrowser
from pathlib import Path
from tempfile import NamedTemporaryFile

from hublaunch.cli.remembered import state_directory

_READ_WITHIN_S = 60
_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={url}">
<title>Opening JupyterLab</title>
<p><a href="{url}">Open the server</a></p>
"""


def open_in_browser(launch_id: str, open_url: str) -> bool:
    """Open the server in the user's browser. Return False if no browser could be started.

    Everybody on the machine can read a browser's arguments, so its argument is a file (mode 0600) that redirects to the
    server. A later call removes the file once a browser has had time to read it. Raises an OSError or CannotRemember if
    the file cannot be written.
    """
    directory = state_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for earlier in directory.glob("open-*.html"):
        if time.time() - earlier.stat().st_mtime > _READ_WITHIN_S:
            earlier.unlink(missing_ok=True)
    path = directory / f"open-{launch_id}.html"
    with NamedTemporaryFile("w", dir=directory, prefix="draft-", encoding="utf-8", delete=False) as file:
        file.write(_PAGE.format(url=html.escape(open_url, quote=True)))
    Path(file.name).replace(path)
    return webbrowser.open(path.as_uri())
