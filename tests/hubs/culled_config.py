"""A mortal Hub with jupyterhub-idle-culler, which stops servers that nobody has used for a minute."""

import sys
from pathlib import Path

TIMEOUT_S = 60

load_subconfig(str(Path(__file__).with_name("mortal_config.py")))  # type: ignore[name-defined]  # noqa: F821
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub, as above

command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={TIMEOUT_S}", "--cull-every=5"]
c.JupyterHub.services.append({"name": "idle-culler", "command": command})
c.JupyterHub.load_roles.append(
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
)
