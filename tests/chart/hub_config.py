"""The configuration of a Hub with KubeSpawner, which reads the chart's values for z2jh as z2jh does.

It extends the demo's configuration. Values that depend on the machine come from the environment, as JSON.
"""

import json
import os

from hublaunch.demo.process import CONFIG

load_subconfig(str(CONFIG))  # type: ignore[name-defined]  # noqa: F821 - JupyterHub puts it there
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - as above

given = json.loads(os.environ["CHART_TEST_HUB"])
values = given["z2jh"]

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = given["namespace"]
c.KubeSpawner.port = given["servers_port"]
c.KubeSpawner.hub_connect_url = c.JupyterHub.hub_bind_url
c.Spawner.cmd = ["jupyterhub-singleuser"]
c.Spawner.args = []
c.Spawner.environment = values.get("singleuser", {}).get("extraEnv", {})

c.JupyterHub.services = [
    {"name": name, "api_token": given["tokens"][name], **service} for name, service in values["hub"]["services"].items()
]
c.JupyterHub.load_roles = [{"name": name, **role} for name, role in values["hub"]["loadRoles"].items()]
c.Spawner.apply_user_options = {}
if "initContainers" in values.get("singleuser", {}):
    c.KubeSpawner.init_containers = values["singleuser"]["initContainers"]
if "profileList" in values.get("singleuser", {}):
    c.KubeSpawner.profile_list = values["singleuser"]["profileList"]
for text in values["hub"]["extraConfig"].values():
    exec(compile(text, "hub.extraConfig", "exec"))
