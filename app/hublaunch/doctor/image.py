"""What registries say about images, and what pre-flight makes of it: for `hublaunch image check` and the doctor."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.preflight import PreflightTerms, RegistryAnswer, RegistryOutcome
from hublaunch.registry.connect import connect_registries
from hublaunch.settings import Settings
from hublaunch.wiring.registry import image_patterns


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReport:
    """The result of one lookup at a registry."""

    image: str
    """By its full name."""
    outcome: str
    digest: str | None
    message: str
    is_launched: bool
    """Whether LAUNCHER_PREFLIGHT lets launches of the image go on."""


_LOOKS_MAX = 8
"""Images that are looked up at once."""
_MESSAGES = {
    RegistryOutcome.FOUND: "The registry has the image.",
    RegistryOutcome.ABSENT: "The registry has no image of this name and tag.",
}


async def check_image(settings: Settings, image: str) -> ImageReport:
    """Ask the image's registry once. Raises InvalidRequest, and RegistryConfigFault.

    The registry is asked even if no pattern names it, because the operator has named it here.
    """
    try:
        ImageReference.parse(image)
    except ValueError as error:
        raise InvalidRequest("image", str(error)) from None
    return (await check_images(settings, [image]))[0]


async def check_images(settings: Settings, images: Sequence[str]) -> Sequence[ImageReport]:
    """Ask the registries of these valid images, each image once, in their order. Raises RegistryConfigFault."""
    references = [ImageReference.parse(image) for image in images]
    connecting = connect_registries(
        patterns=lambda: (*image_patterns(settings), *(f"{reference.registry}/*" for reference in references)),
        config=settings.registry_config,
        platforms=settings.platforms,
    )
    places = asyncio.Semaphore(_LOOKS_MAX)

    async def checked(reference: ImageReference) -> ImageReport:
        async with places:
            return _report(settings, reference, await client.look_up(reference))

    async with connecting as client:
        return await asyncio.gather(*map(checked, references))


def _report(settings: Settings, reference: ImageReference, answer: RegistryAnswer) -> ImageReport:
    terms = PreflightTerms(mode=settings.preflight, pulls_alike=settings.registry_config_pulls)
    message = _MESSAGES.get(answer.outcome, f"It is unknown whether the image exists: {answer.reason}.")
    if answer.outcome is RegistryOutcome.WRONG_PLATFORM:
        message = f"The image is built for {', '.join(answer.platforms)}, and not for LAUNCHER_PLATFORMS."
    return ImageReport(
        image=str(reference),
        outcome=answer.outcome.value,
        digest=answer.digest,
        message=message,
        is_launched=terms.refusal(answer, was_ready=False) is None,
    )
