"""Launches that pre-flight keeps from the Hub, by what the image's registry said."""

from collections.abc import Sequence

from hublaunch.launch.errors.base import LaunchError


class PreflightRefused(LaunchError):
    """The image's registry was asked, and the launch must not go to the Hub. Raised before or after acceptance."""


class ImageAbsent(PreflightRefused):
    """The registry has no such image; or it hides the image from the spawner's own credentials.

    The spawner reports the same fault as ImageNotFound, once it has tried to pull.
    """

    code = "image_not_found"
    title = "The image does not exist, or access to it is denied"
    advice = "Check the image's registry, name and tag, and that the image is public."
    operator_advice = (
        "The registry said so before JupyterHub was asked (docs/preflight.md). If your nodes have images that no "
        "registry has, set LAUNCHER_PREFLIGHT=off."
    )

    def __init__(self, *, is_hidden: bool = False) -> None:
        super().__init__(
            "The image's registry does not let this service or JupyterHub see the image."
            if is_hidden
            else "The image's registry has no image of this name and tag."
        )


class ImageWrongPlatform(PreflightRefused):
    """The image exists, but for none of LAUNCHER_PLATFORMS."""

    code = "image_wrong_platform"
    title = "The image is built for other processors"
    advice = "Build the image for the processors of this JupyterHub too, or choose another image."
    operator_advice = "LAUNCHER_PLATFORMS lists the platforms that your nodes have."

    def __init__(self, platforms: Sequence[str]) -> None:
        super().__init__(
            f"It is built for {', '.join(platforms) or 'no platform'}, and the servers run on another platform."
        )


class ImageUnchecked(PreflightRefused):
    """LAUNCHER_PREFLIGHT=require, and it is unknown whether the image exists."""

    code = "image_unchecked"
    title = "The image could not be checked"
    advice = "Launch again in a minute, or choose another image."
    operator_advice = (
        "`hublaunch image check IMAGE` says more. LAUNCHER_PREFLIGHT=auto launches images that cannot be checked."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(f"It is unknown whether the image exists: {reason}.")
