"""The demo's Hub below a base URL or with subdomains, with servers that start immediately."""

import os
import sys
from pathlib import Path

from hublaunch.demo.process import CONFIG

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above

c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
c.Spawner.args = []
if host := os.environ["TEST_HUB_SUBDOMAIN_HOST"]:
    c.JupyterHub.subdomain_host = host
