"""A Hub configured as a guide in docs/ tells operators, loaded the way TLJH loads additional files."""

import os
import sys
from pathlib import Path

from hublaunch.demo.leftovers import MARK
from hublaunch.demo.process import CONFIG

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above
ours, ours_role = c.JupyterHub.services.pop(), c.JupyterHub.load_roles.pop()

load_subconfig(str(Path(os.environ[MARK]) / "guide.py"))  # type: ignore[name-defined]  # noqa: F821 - as above

c.JupyterHub.services.append({**ours, "name": "tests"})
c.JupyterHub.load_roles.append({**ours_role, "name": "tests", "services": ["tests"]})
c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
c.Spawner.args = []
