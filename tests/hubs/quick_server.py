"""A user's server in a Hub of the tests: it answers everything, and starts in a moment or when it is told to.

A process of its own, with nothing to import that would take time.
"""

import os
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

GATED_IMAGE = "example.org/gated:1"
"""A server of this image starts when the test says so."""
JUPYTERLAB_IMAGE = "example.org/jupyterlab:1"
"""A server of this image is the real thing, which takes its time."""
_POLL_S = 0.02


def gate(state: Path, username: str) -> Path:
    """The file whose coming lets this user's gated server start."""
    return state / f"gate-{username}"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the Hub's way to stop a server; Python's has a traceback
    image = os.environ.get("LAUNCH_IMAGE")
    if image == JUPYTERLAB_IMAGE:
        os.execlp("jupyterhub-singleuser", "jupyterhub-singleuser", *(["--allow-root"] if os.geteuid() == 0 else []))
    if image == GATED_IMAGE:
        opened = gate(Path(os.environ["HUBLAUNCH_DEMO_STATE"]), os.environ["JUPYTERHUB_USER"])
        while not opened.exists():
            time.sleep(_POLL_S)
    port = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port or 0
    ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


if __name__ == "__main__":
    main()
