"""Checks of the operator's configuration: settings, API keys, limits, the catalogue and credentials for registries."""

from collections.abc import Generator

from hublaunch.doctor.finding import Finding
from hublaunch.files.catalogue import CatalogueFault, read_catalogue
from hublaunch.files.keys import KeysFault, read_keys
from hublaunch.files.limits import LimitsFault, read_limits
from hublaunch.registry.credentials import RegistryConfigFault, read_config
from hublaunch.settings import Settings, SettingsFault, unknown_variables
from hublaunch.wiring.access import check_access
from hublaunch.wiring.rules import binder_images_of, policy_of

_CHECK = "settings"


def examine_configuration(settings: Settings) -> Generator[Finding]:
    """Yield the faults that would keep `serve` from starting or make it refuse every launch; else one "ok"."""
    faults = [*_refused(settings)]
    yield from faults
    if unknown := unknown_variables():
        message = f"These variables are not settings and have no effect: {', '.join(unknown)}."
        yield Finding(
            check=_CHECK,
            state="warning",
            message=message,
            advice="Correct or remove them. docs/settings.md lists all settings.",
        )
    if not faults:
        yield Finding(check=_CHECK, state="ok", message=f"Callers: {', '.join(settings.access)}.")


def _refused(settings: Settings) -> Generator[Finding]:
    try:
        check_access(settings)
        policy_of(settings)
        binder_images_of(settings)
    except SettingsFault as fault:
        yield Finding(check=_CHECK, state="fault", message=" ".join(fault.sentences), advice="See docs/settings.md.")
        return
    keys_bring_images = False
    if settings.api_keys_file is not None and "key" in settings.access:
        try:
            keys_bring_images = any(key.allowed_images for key in read_keys(settings.api_keys_file))
        except KeysFault as fault:
            yield Finding(check="API keys", state="fault", message=str(fault), advice="See docs/access.md.")
    yield from _unreadable_files(settings)
    any_images = settings.allowed_images or settings.group_allowed_images or settings.catalogue_file
    if not any_images and not keys_bring_images:
        yield Finding(
            check=_CHECK,
            state="fault",
            message="LAUNCHER_ALLOWED_IMAGES is empty, so every launch is refused.",
            advice="Set it to the images that may be launched, such as quay.io/jupyter/*.",
        )


def _unreadable_files(settings: Settings) -> Generator[Finding]:
    if settings.limits_file is not None:
        try:
            read_limits(settings.limits_file)
        except LimitsFault as fault:
            yield Finding(check="limits", state="fault", message=str(fault), advice="See docs/quotas.md.")
    if settings.catalogue_file is not None:
        try:
            read_catalogue(settings.catalogue_file)
        except CatalogueFault as fault:
            yield Finding(check="catalogue", state="fault", message=str(fault), advice="See docs/catalogue.md.")
    if settings.registry_config is not None and settings.preflight != "off":
        try:
            read_config(settings.registry_config)
        except RegistryConfigFault as fault:
            yield Finding(check="registries", state="fault", message=str(fault), advice="See docs/preflight.md.")
