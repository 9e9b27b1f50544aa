"""A mortal Hub with jupyterhub-idle-culler, which stops servers that nobody has used for a minute."""

import os
import sys
from pathlib import Path

from hublaunch.demo.leftovers import MARK

TIMEOUT_S = 60

load_subconfig(str(Path(__file__).with_name("mortal_config.py")))  # type: ignore[name-defined]  # noqa: F821
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub, as above

command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={TIMEOUT_S}", "--cull-every=5"]
mark = {MARK: os.environ[MARK]}  # a Hub that is killed leaves its services behind; MortalHub kills what has the mark
c.JupyterHub.services.append({"name": "idle-culler", "command": command, "environment": mark})
c.JupyterHub.load_roles.append(
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
)
