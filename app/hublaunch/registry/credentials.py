"""Credentials for registries, from a Docker `config.json`, as `docker login` and Kubernetes' pull secrets have it.

https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

import base64
import binascii
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.launch.rules.glob import Glob
from hublaunch.launch.rules.image import ImageReference
from hublaunch.registry.hosts import DOCKER_HUB

log = logging.getLogger(__name__)

_DOCKER_HUBS = ("docker.io", "index.docker.io", "registry-1.docker.io")


class RegistryConfigFault(FileFault):
    """The file of LAUNCHER_REGISTRY_CONFIG cannot be used."""


class _Entry(BaseModel):
    auth: str = ""
    username: str = ""
    password: str = ""


class _Config(BaseModel):
    auths: dict[str, _Entry] = {}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for the images of one registry, or below one path of it."""

    host: Glob = field(repr=False)
    parts: int
    """The parts of the host's name: a wildcard stands for one part at most."""
    path: str
    basic: bytes = field(repr=False)
    """The value of `Authorization`."""

    def are_for(self, image: ImageReference) -> bool:
        """Return whether they are for the image's registry and path."""
        is_below = not self.path or f"{image.repository}/".startswith(f"{self.path}/")
        return is_below and self.host.matches(image.registry) and image.registry.count(".") + 1 == self.parts


class RegistryConfig:
    """The credentials in a file, which is read again when it changes, as tokens of cloud registries do."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises RegistryConfigFault if it cannot be used."""
        self._file = WatchedFile[Sequence[Credentials]](
            path,
            read_config,
            describe=lambda found: f"credentials for {len(found)} registries",
            while_unusable=lambda before: before,
            consequence="Until this is fixed, the previous credentials apply.",
        )

    def of(self, image: ImageReference) -> bytes | None:
        """Return the value of `Authorization` for an image's registry, or None without credentials for it."""
        self._file.check()
        return next((one.basic for one in self._file.content if one.are_for(image)), None)


def read_config(path: Path) -> Sequence[Credentials]:
    """Return the credentials in the file, those for the longest path first. Raises RegistryConfigFault.

    An entry without a user name and a password, as credential helpers and identity tokens leave it, is logged and left
    out: it cannot be used here.
    """
    try:
        config = _Config.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegistryConfigFault(f"LAUNCHER_REGISTRY_CONFIG: {path} cannot be read: {error.strerror}.") from error
    except ValidationError:  # its text may contain a password
        raise RegistryConfigFault(
            f'LAUNCHER_REGISTRY_CONFIG: {path} is not a Docker config.json such as {{"auths": {{"quay.io": …}}}}.'
        ) from None
    found = []
    for place, entry in config.auths.items():
        credentials = _credentials(place, entry)
        if credentials is None:
            log.warning("%s has no user name and password for %s, so it is asked without credentials", path, place)
        else:
            found.append(credentials)
    return sorted(found, key=lambda one: len(one.path), reverse=True)


def _credentials(place: str, entry: _Entry) -> Credentials | None:
    """Return an entry's credentials. Its name is a host, perhaps with a scheme, an API version and a path."""
    host, _, path = place.partition("://")[2].partition("/") if "://" in place else place.partition("/")
    path = path.strip("/").removeprefix("v1").removeprefix("v2").strip("/")
    host = DOCKER_HUB if host.lower() in _DOCKER_HUBS else host.lower()
    basic = _basic(entry)
    try:
        glob = Glob(host)
    except ValueError:
        return None
    return None if basic is None else Credentials(host=glob, parts=host.count(".") + 1, path=path, basic=basic)


def _basic(entry: _Entry) -> bytes | None:
    if entry.username and entry.password:
        return b"Basic " + base64.b64encode(f"{entry.username}:{entry.password}".encode())
    try:
        user, _, password = base64.b64decode(entry.auth, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return b"Basic " + base64.b64encode(user + b":" + password) if user and password else None
