"""A user's server for Hubs in tests. It answers every request with a version, and starts quickly or when told to.

It requires no token, but refuses an invalid one. It is a separate process, and imports nothing that takes time.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

GATED_IMAGE = "example.org/gated:1"
"""A server of this image starts when the test opens its gate."""
GATED_BEFORE_PROCESS_IMAGE = "example.org/gated:before-process"
"""Like GATED_IMAGE, but without a process until then, as while an image is pulled."""
GATED_AFTER_START_IMAGE = "example.org/gated:after-start"
"""Like GATED_IMAGE, but the spawner's `start` does not wait until the server answers."""
GATED_IMAGES = (GATED_IMAGE, GATED_BEFORE_PROCESS_IMAGE, GATED_AFTER_START_IMAGE)
BROKEN_IMAGES = "example.org/broken"
"""A server of an image with this prefix ends immediately."""
JUPYTERLAB_IMAGE = "example.org/jupyterlab:1"
"""A server of this image is a real JupyterLab, which starts slowly."""
VERSION = b'{"version": "2.17.0"}'
"""A Jupyter server's answer at /api."""
_POLL_S = 0.02


def gate(state: Path, username: str) -> Path:
    """Return the file that lets this user's gated server start once it exists."""
    return state / f"gate-{username}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        token = query["token"][0] if "token" in query else self.headers.get("Authorization", "").partition(" ")[2]
        self.send_response(200 if not token or is_good(token) else 403)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)


def is_good(token: str) -> bool:
    """Return whether the token's owner may use this server, asked the way `jupyterhub-singleuser` asks."""
    asked = Request(f"{os.environ['JUPYTERHUB_API_URL']}/user", headers={"Authorization": f"token {token}"})
    try:
        with urlopen(asked, timeout=5) as answer:
            scopes = json.load(answer)["scopes"]
    except OSError:
        return False
    return not set(scopes).isdisjoint(json.loads(os.environ["JUPYTERHUB_OAUTH_ACCESS_SCOPES"]))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the Hub stops servers with it, and Python would print a traceback
    image = os.environ.get("LAUNCH_IMAGE")
    if image == JUPYTERLAB_IMAGE:
        os.execlp("jupyterhub-singleuser", "jupyterhub-singleuser", *(["--allow-root"] if os.geteuid() == 0 else []))
    if image and image.startswith(BROKEN_IMAGES):
        sys.exit(1)
    if image in GATED_IMAGES:
        opened = gate(Path(os.environ["HUBLAUNCH_DEMO_STATE"]), os.environ["JUPYTERHUB_USER"])
        while not opened.exists():
            time.sleep(_POLL_S)
    port = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port or 0
    ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


if __name__ == "__main__":
    main()
