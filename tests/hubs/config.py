"""Configuration of the real Hub that the contract suite runs on. Addresses and the token come by environment."""

import os

from tests.hubs.plan_spawner import NoProxy, PlanSpawner, SettingsHandler

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.JupyterHub.bind_url = os.environ["TEST_HUB_BIND_URL"]
c.JupyterHub.hub_bind_url = os.environ["TEST_HUB_API_BIND_URL"]
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = PlanSpawner
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.extra_handlers = [(r"/test-settings", SettingsHandler)]
c.JupyterHub.services = [{"name": "launcher", "api_token": os.environ["TEST_HUB_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "launcher", "services": ["launcher"], "scopes": ["admin:users", "servers", "tokens"]}
]
