"""The configuration of the demo's JupyterHub: local processes, loopback addresses, and one directory for everything.

`process.py` starts JupyterHub with it, and passes addresses and the service's token in the environment.
"""

import json
import os
import sys
from pathlib import Path

from hublaunch.demo.leftovers import MARK, end_with_parent
from hublaunch.demo.spawner import DemoSpawner, apply_launch_options

c = get_config()  # type: ignore[name-defined] # noqa: F821 - JupyterHub defines it

end_with_parent(int(os.environ["HUBLAUNCH_DEMO_PARENT"]))

STATE = Path(os.environ[MARK])
BIN = Path(sys.executable).parent

c.JupyterHub.bind_url = os.environ["HUBLAUNCH_DEMO_PUBLIC_URL"]
c.JupyterHub.hub_bind_url = os.environ["HUBLAUNCH_DEMO_HUB_URL"]
c.ConfigurableHTTPProxy.api_url = os.environ["HUBLAUNCH_DEMO_PROXY_API_URL"]
c.ConfigurableHTTPProxy.command = json.loads(os.environ["HUBLAUNCH_DEMO_PROXY_COMMAND"])
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{STATE}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")

# Nobody logs in. All users are those that hublaunch creates.
c.JupyterHub.authenticator_class = "null"
c.Authenticator.any_allow_config = True

c.JupyterHub.spawner_class = DemoSpawner
c.DemoSpawner.home_dir_template = str(STATE / "home" / "{username}")
c.Spawner.cmd = [str(BIN / "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    MARK: str(STATE),
    "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
    "JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1",
    "JUPYTER_CONFIG_PATH": str(STATE / "jupyter"),  # switches JupyterLab's news off
}
c.Spawner.apply_user_options = apply_launch_options
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60
c.Spawner.consecutive_failure_limit = 0  # failed spawns never end this Hub
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 10
c.JupyterHub.active_server_limit = 20

# Removed from the environment, so that the proxy does not get it.
c.JupyterHub.services = [{"name": "hublaunch", "api_token": os.environ.pop("HUBLAUNCH_DEMO_TOKEN")}]
c.JupyterHub.load_roles = [
    {"name": "hublaunch", "services": ["hublaunch"], "scopes": ["admin:users", "servers", "tokens"]},
]
c.JupyterHub.trust_user_provided_tokens = True  # the token is random
