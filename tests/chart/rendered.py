"""The rendered chart, read as Kubernetes and z2jh read it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

HUB_TOKEN = "the-token-that-z2jh-made"


@dataclass(frozen=True)
class Rendered:
    """The manifests of one release."""

    manifests: Sequence[dict[str, Any]]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return the only manifest of this kind and name."""
        [found] = [each for each in self.manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        return found

    def only(self, kind: str) -> dict[str, Any]:
        """Return the only manifest of this kind."""
        [found] = [each for each in self.manifests if each["kind"] == kind]
        return found

    def has(self, kind: str) -> bool:
        return any(each["kind"] == kind for each in self.manifests)

    @cached_property
    def name(self) -> str:
        """The name of the release's objects."""
        name: str = self.only("Service")["metadata"]["name"]
        return name

    @cached_property
    def z2jh(self) -> dict[str, Any]:
        """The chart's values for z2jh."""
        told: dict[str, Any] = yaml.safe_load(self.named("ConfigMap", f"{self.name}-z2jh")["data"]["values.yaml"])
        return told

    @property
    def pod(self) -> dict[str, Any]:
        """The spec of the release's own pod."""
        spec: dict[str, Any] = self.only("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        """hublaunch's container, in its own pod or in the Hub's."""
        [container] = self.pod["containers"] if self.has("Deployment") else self.z2jh["hub"]["extraContainers"]
        told: dict[str, Any] = container
        return told

    @property
    def environment(self) -> dict[str, str]:
        """The container's variables. From foreign Secrets it has only a stand-in for the Hub token."""
        variables: dict[str, str] = {}
        for source in self.container["envFrom"]:
            if "configMapRef" in source:
                variables |= self.named("ConfigMap", source["configMapRef"]["name"])["data"]
            elif self.has("Secret"):
                secret = self.named("Secret", source["secretRef"]["name"])["data"]
                variables |= {name: base64.b64decode(value).decode() for name, value in secret.items()}
        for variable in self.container.get("env", []):
            variables[variable["name"]] = variable.get("value", HUB_TOKEN)
        return variables

    def environment_at(self, directory: Path) -> dict[str, str]:
        """Return the variables with paths below `directory` for the container's data and files, and write the files."""
        files = directory / "files"
        files.mkdir(exist_ok=True)
        for name, text in self.named("ConfigMap", f"{self.name}-files")["data"].items():
            (files / name).write_text(text)
        places = {"/etc/hublaunch/files/": f"{files}/", "sqlite:////data/": f"sqlite:///{directory}/"}
        moved = dict(self.environment)
        for there, here in places.items():
            moved = {name: value.replace(there, here) for name, value in moved.items()}
        return moved
