"""Checks of the operator's configuration: settings, API keys, limits, the catalogue and credentials for registries."""

from collections.abc import Generator, Sequence

from hublaunch.doctor.catalogue import examine_catalogue_file
from hublaunch.doctor.finding import Finding
from hublaunch.files.keys import ApiKey, KeysFault, read_keys
from hublaunch.files.limits import LimitsFault, read_limits
from hublaunch.launch.rules.condition import Condition
from hublaunch.registry.credentials import RegistryConfigFault, read_config
from hublaunch.settings import Settings, SettingsFault, unknown_variables
from hublaunch.wiring.access import check_access
from hublaunch.wiring.rules import binder_images_of, policy_of

_CHECK = "settings"


def examine_configuration(settings: Settings) -> Generator[Finding]:
    """Yield the faults that keep `serve` from starting or make it refuse launches, or one "ok"; and warnings."""
    found = [*_found(settings)]
    yield from found
    if unknown := unknown_variables():
        message = f"These variables are not settings and have no effect: {', '.join(unknown)}."
        yield Finding(
            check=_CHECK,
            state="warning",
            message=message,
            advice="Correct or remove them. docs/settings.md lists all settings.",
        )
    if not any(finding.state == "fault" for finding in found):
        yield Finding(check=_CHECK, state="ok", message=f"Callers: {', '.join(settings.access)}.")


def _found(settings: Settings) -> Generator[Finding]:
    try:
        check_access(settings)
        policy_of(settings)
        binder_images_of(settings)
    except SettingsFault as fault:
        yield Finding(check=_CHECK, state="fault", message=" ".join(fault.sentences), advice="See docs/settings.md.")
        return
    keys: Sequence[ApiKey] = ()
    if settings.api_keys_file is not None and "key" in settings.access:
        try:
            keys = read_keys(settings.api_keys_file)
        except KeysFault as fault:
            yield Finding(check="API keys", state="fault", message=str(fault), advice="See docs/access.md.")
    yield from examine_catalogue_file(settings, keys)
    yield from _unreadable_files(settings)
    patterns = settings.allowed_images or settings.group_allowed_images or any(key.allowed_images for key in keys)
    if not patterns and settings.catalogue_file is None:
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
            message = f"{Condition.LIMITS_UNUSABLE.words}: {fault}"
            yield Finding(check="limits", state="fault", message=message, advice="See docs/quotas.md.")
    if settings.registry_config is not None and settings.preflight != "off":
        try:
            read_config(settings.registry_config)
        except RegistryConfigFault as fault:
            yield Finding(check="registries", state="fault", message=str(fault), advice="See docs/preflight.md.")
