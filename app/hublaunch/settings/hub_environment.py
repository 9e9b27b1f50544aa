"""The variables that JupyterHub sets for a service that it starts."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

HUB_VARIABLES: Mapping[str, str] = {
    "hub_url": "JUPYTERHUB_PUBLIC_HUB_URL",
    "hub_url_local": "JUPYTERHUB_API_URL",
    "hub_api_token": "JUPYTERHUB_API_TOKEN",
    "hub_ca_file": "JUPYTERHUB_SSL_CLIENT_CA",
    "hub_cert_file": "JUPYTERHUB_SSL_CERTFILE",
    "hub_key_file": "JUPYTERHUB_SSL_KEYFILE",
    "service_name": "JUPYTERHUB_SERVICE_NAME",
    "oauth_client_id": "JUPYTERHUB_CLIENT_ID",
    "oauth_callback_url": "JUPYTERHUB_OAUTH_CALLBACK_URL",
    "allow_named_servers": "JUPYTERHUB_ALLOW_NAMED_SERVERS",
    "named_server_limit_per_user": "JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER",
    "prefix": "JUPYTERHUB_SERVICE_PREFIX",
    "public_url": "JUPYTERHUB_PUBLIC_URL",
}
"""JupyterHub's variable for each setting. https://jupyterhub.readthedocs.io/en/stable/reference/services.html"""

_ENDINGS = {"hub_url": "/hub", "hub_url_local": "/hub/api"}
"""The end of the variable's URL, which the setting leaves out."""


class HubServiceEnvironment(PydanticBaseSettingsSource):
    """Reads the variables of JupyterHub, for settings that have no `LAUNCHER_` variable."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        given = {name: value for name, variable in HUB_VARIABLES.items() if (value := os.environ.get(variable))}
        for name, ending in _ENDINGS.items():
            if name in given:
                given[name] = given[name].rstrip("/").removesuffix(ending)
        return given
