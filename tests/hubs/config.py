"""Configuration of the real Hub for the contract suite. Addresses and the token come from the environment."""

import os
import shutil
import sys
import threading

from tests.hubs.plan_spawner import NoProxy, PlanSpawner, ReleaseHandler, SettingsHandler


def _end_with_the_tests() -> None:
    """Stop when stdin closes. Only the test process holds its other end, so it closes whenever that process ends."""
    sys.stdin.read()
    shutil.rmtree(os.environ["TEST_HUB_DIRECTORY"], ignore_errors=True)
    os._exit(1)


threading.Thread(target=_end_with_the_tests, daemon=True).start()

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it there

c.JupyterHub.bind_url = os.environ["TEST_HUB_BIND_URL"]
c.JupyterHub.hub_bind_url = os.environ["TEST_HUB_API_BIND_URL"]
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = PlanSpawner
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.extra_handlers = [(r"/test-settings", SettingsHandler), (r"/test-release/([^/]+)", ReleaseHandler)]
c.JupyterHub.services = [
    {
        "name": "launcher",
        "api_token": os.environ["TEST_HUB_TOKEN"],
        "oauth_redirect_uri": "/services/launcher/oauth_callback",
    }
]
c.JupyterHub.load_roles = [
    {"name": "launcher", "services": ["launcher"], "scopes": ["admin:users", "servers", "tokens"]}
]
