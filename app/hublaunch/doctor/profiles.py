"""Checks that the sizes of the catalogue fit KubeSpawner's profiles, as the values of z2jh have them."""

import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from hublaunch.doctor.finding import Finding
from hublaunch.files.catalogue import CatalogueFault, read_catalogue
from hublaunch.files.watched import FileFault
from hublaunch.files.yaml_file import read_yaml
from hublaunch.launch.rules.catalogue import Catalogue, Size
from hublaunch.settings import Settings

_CHECK = "profiles"
_OF_LAUNCHES = ("image", "repo_url", "ref")
"""The user_options of every launch. KubeSpawner looks each up among the choices of a profile's option of that name."""


class ValuesFault(FileFault):
    """The values of z2jh cannot be used."""


class _Overriding(BaseModel):
    kubespawner_override: dict[str, Any] = {}


class _Option(BaseModel):
    choices: dict[str, _Overriding] = {}


class _Profile(_Overriding):
    display_name: str
    slug: str | None = None
    profile_options: dict[str, _Option] = {}

    @property
    def name(self) -> str:
        """The slug; without one, KubeSpawner makes it from the display name."""
        return self.slug or re.sub(r"[^a-z0-9]+", "-", self.display_name.lower()).strip("-")

    @property
    def sets_image(self) -> bool:
        parts: list[_Overriding] = [self]
        for option in self.profile_options.values():
            parts += option.choices.values()
        return any("image" in part.kubespawner_override for part in parts)


class _Singleuser(BaseModel):
    profiles: list[_Profile] | dict[str, _Profile] = Field([], alias="profileList")


class _Hub(BaseModel):
    extra_config: dict[str, Any] = Field({}, alias="extraConfig")


class _Values(BaseModel):
    singleuser: _Singleuser = _Singleuser()
    hub: _Hub = _Hub()


def examine_profiles(settings: Settings, values_file: Path) -> Generator[Finding]:
    """Yield a finding for each profile that a size cannot use, or one "ok".

    `values_file` has the values of z2jh, as `helm get values` prints them.
    """
    try:
        values = read_yaml(
            values_file, _Values.model_validate, subject=f"The values in {values_file} are", fault=ValuesFault
        )
        catalogue = read_catalogue(settings.catalogue_file) if settings.catalogue_file is not None else Catalogue()
    except ValuesFault as fault:
        yield Finding(check=_CHECK, state="fault", message=str(fault), advice="Write them with `helm get values`.")
        return
    except CatalogueFault:
        return  # reported with the configuration
    given = values.singleuser.profiles
    profiles = {each.name: each for each in (given.values() if isinstance(given, dict) else given)}
    faults = [finding for size in catalogue.sizes for finding in _of_size(size, profiles)]
    if profiles and "hublaunch" not in values.hub.extra_config:
        faults.append(
            _fault(
                "hub.extraConfig lacks hublaunch, so a launch without a profile gets the default profile.",
                "Add the values that the chart prints.",
            )
        )
    yield from faults
    if not faults:
        yield Finding(check=_CHECK, state="ok", message="The profiles of z2jh fit the sizes of the catalogue.")


def _of_size(size: Size, profiles: Mapping[str, _Profile]) -> Generator[Finding]:
    if "profile" not in size.user_options:
        return
    slug = str(size.user_options["profile"])
    if slug not in profiles:
        message = f"Size {size.name}: z2jh has no profile with the slug {slug}, so every launch of this size fails."
        yield _fault(message, f"Choose from: {', '.join(sorted(profiles)) or 'none'}.")
        return
    profile = profiles[slug]
    if profile.sets_image:
        message = f"Size {size.name}: the profile {slug} sets an image, which replaces the image of every launch."
        yield _fault(message, "Remove `image` from its kubespawner_override.")
    for name in _OF_LAUNCHES:
        if name in profile.profile_options:
            message = f"Size {size.name}: the profile {slug} has an option {name}, so every launch of this size fails."
            yield _fault(message, "Rename the option: KubeSpawner mistakes the launch's own value for a choice.")
    for name, value in size.user_options.items():
        option = profile.profile_options.get(name)
        if option is not None and str(value) not in option.choices:
            message = f"Size {size.name}: the option {name} of the profile {slug} has no choice {value}."
            yield _fault(message, f"Choose from: {', '.join(option.choices) or 'none'}.")


def _fault(message: str, advice: str) -> Finding:
    return Finding(check=_CHECK, state="fault", message=message, advice=advice)
