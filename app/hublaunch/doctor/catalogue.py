"""Checks of the catalogue: whether settings contradict it, and whether registries have its images."""

from collections.abc import AsyncGenerator, Generator, Sequence

from hublaunch.doctor.finding import Finding
from hublaunch.doctor.image import ImageReport, check_images
from hublaunch.files.catalogue import CatalogueFault, read_catalogue
from hublaunch.files.keys import ApiKey
from hublaunch.launch.rules.catalogue import Catalogue
from hublaunch.launch.rules.condition import Condition
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import RegistryOutcome
from hublaunch.registry.credentials import RegistryConfigFault
from hublaunch.settings import Settings
from hublaunch.wiring.rules import warm_obstacles

_CHECK = "catalogue"


def examine_catalogue_file(settings: Settings, keys: Sequence[ApiKey]) -> Generator[Finding]:
    """Yield the fault of the file, or else what settings and API keys make impossible in it."""
    if settings.catalogue_file is None:
        return
    try:
        catalogue = read_catalogue(settings.catalogue_file)
    except CatalogueFault as fault:
        message = f"{Condition.CATALOGUE_UNUSABLE.words}: {fault}"
        yield Finding(check=_CHECK, state="fault", message=message, advice="See docs/catalogue.md.")
        return
    yield from _contradictions(settings, catalogue, keys)


def _contradictions(settings: Settings, catalogue: Catalogue, keys: Sequence[ApiKey]) -> Generator[Finding]:
    tagged = [each.name for each in catalogue.environments if ImageReference.parse(each.image).digest is None]
    if settings.require_digest and tagged:
        message = (
            f"LAUNCHER_REQUIRE_DIGEST refuses these environments, whose images have no digest: {', '.join(tagged)}."
        )
        yield Finding(check=_CHECK, state="fault", message=message, advice="Name their images as name@sha256:….")
    set_by_sizes = {key for size in catalogue.sizes for key in size.user_options}
    if taken := sorted(set_by_sizes.intersection(settings.allowed_extra_args)):
        message = f"Sizes set {', '.join(taken)}, so no request may have them in extra_args."
        advice = "Remove them from LAUNCHER_ALLOWED_EXTRA_ARGS, or from the sizes."
        yield Finding(check=_CHECK, state="warning", message=message, advice=advice)
    known = {each.name for each in catalogue.environments}
    for key in keys:
        if unknown := sorted(set(key.environments or ()) - known):
            message = f"The API key {key.name} lists environments that the catalogue lacks: {', '.join(unknown)}."
            yield Finding(check=_CHECK, state="warning", message=message, advice="Correct the key or the catalogue.")
    yield from _warm_for_nobody(settings, catalogue, keys)


def _warm_for_nobody(settings: Settings, catalogue: Catalogue, keys: Sequence[ApiKey]) -> Generator[Finding]:
    """Yield a warning for each environment that keeps warm servers that no launch can get."""
    warm = [each for each in catalogue.environments if each.warm is not None]
    obstacles = warm_obstacles(settings) if warm else ()
    if obstacles:
        names = ", ".join(each.name for each in warm)
        yield Finding(
            check=_CHECK,
            state="warning",
            message=f"No server is kept warm for these environments: {names}. {' '.join(obstacles)}",
            advice="Change the setting, or remove `warm` from the catalogue. See docs/warm-pool.md.",
        )
        return
    listed = {name for key in keys for name in key.environments or ()}
    if unreachable := [each.name for each in warm if each.groups and each.name not in listed]:
        message = (
            f"Nobody can get the warm servers of these environments: {', '.join(unreachable)}. Members of their groups "
            "launch on their own accounts, and no API key lists them."
        )
        advice = "Remove `warm`, or the groups, or list the environments in an API key."
        yield Finding(check=_CHECK, state="warning", message=message, advice=advice)


async def examine_catalogue_images(settings: Settings) -> AsyncGenerator[Finding]:
    """Ask the registries for the manifests of all environments, unless pre-flight is off. Yield what they answer."""
    if settings.catalogue_file is None or settings.preflight == "off":
        return
    try:
        environments = read_catalogue(settings.catalogue_file).environments
        reports = await check_images(settings, [environment.image for environment in environments])
    except (CatalogueFault, RegistryConfigFault):
        return  # reported with the configuration
    missing = False
    for environment, report in zip(environments, reports, strict=True):
        if report.outcome != RegistryOutcome.FOUND:
            missing = True
            yield _finding(environment.name, report)
    if environments and not missing:
        message = f"The registries have the images of all {len(environments)} environments."
        yield Finding(check=_CHECK, state="ok", message=message)


def _finding(name: str, report: ImageReport) -> Finding:
    is_known = report.outcome in (RegistryOutcome.ABSENT, RegistryOutcome.WRONG_PLATFORM)
    refused = "" if report.is_launched else " Launches of it are refused."
    return Finding(
        check=_CHECK,
        state="fault" if is_known else "unknown",
        message=f"Environment {name}, {report.image}: {report.message}{refused}",
        advice="Correct the image, or push it." if is_known else "See docs/preflight.md.",
    )
