"""A Hub that starts hublaunch as a service below its own URL, and where users log in with a password.

It extends the demo's configuration, with servers that start quickly in place of JupyterLab.
"""

import os
import sys
from pathlib import Path
from typing import Any

from hublaunch.demo.leftovers import MARK
from hublaunch.demo.process import CONFIG, free_port
from tests.hubs.managed import ADMIN, GROUP, LOGINS, PASSWORD, SECRET_KEY, SHORT_LIFETIME_S

ROOT = Path(__file__).parents[2]
STATE = Path(os.environ[MARK])
SERVE = "from hublaunch.cli import main; main()"
FORGET_SOON = f"from hublaunch.api.callers import hub_users; hub_users.LIFETIME_S = {SHORT_LIFETIME_S}; {SERVE}"

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - provided by JupyterHub
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above


def hublaunch(name: str, *, code: str, no_confirm: bool, **settings: str) -> dict[str, Any]:
    """Return a service with a `command` and a `url`. The Hub provides everything that is not among its settings."""
    port = free_port()
    directory = STATE / name
    directory.mkdir(exist_ok=True)
    return {
        "name": name,
        "command": [sys.executable, "-c", code, "serve", "--port", str(port)],
        "url": f"http://127.0.0.1:{port}",
        "cwd": str(directory),
        "oauth_no_confirm": no_confirm,
        "environment": {
            "LAUNCHER_LOG_FORMAT": "text",
            MARK: str(STATE),
            "PYTHONPATH": str(ROOT),
            "LAUNCHER_ACCESS": "hub",
            "LAUNCHER_HUB_URL": os.environ["HUBLAUNCH_DEMO_PUBLIC_URL"],
            "LAUNCHER_ALLOWED_IMAGES": "*",
            "LAUNCHER_ADMINS": ADMIN,
            "LAUNCHER_SECRET_KEY": SECRET_KEY,
            **settings,
        },
    }


c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = PASSWORD
c.Authenticator.allowed_users = set(LOGINS)
c.JupyterHub.load_groups = {GROUP: {"users": [LOGINS[0]]}}

c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
c.Spawner.args = []

c.JupyterHub.services = [
    {"name": "tests", "api_token": c.JupyterHub.services[0]["api_token"]},
    hublaunch("launcher", code=SERVE, no_confirm=True),
    hublaunch("named", code=FORGET_SOON, no_confirm=False, LAUNCHER_ALLOW_NAMED_SERVERS="true"),
]
c.JupyterHub.load_roles = [
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "servers", "tokens"]},
    {"name": "launcher", "services": ["launcher"], "scopes": ["servers"]},
    {"name": "named", "services": ["named"], "scopes": ["read:servers", "start:servers", "delete:servers"]},
    {
        "name": "user",
        "scopes": ["self", "access:services!service=launcher", "access:services!service=named"],
    },
]
