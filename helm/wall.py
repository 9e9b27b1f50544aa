"""The Hub's own check of images, for z2jh's `hub.extraConfig`: a copy of hublaunch's code, which the Hub lacks."""

import re
from inspect import cleandoc, getsource
from textwrap import indent
from types import ModuleType

from hublaunch.launch.rules import glob, image

_BEGIN = '''
# Written by `make chart` from app/hublaunch/launch, where hublaunch checks images with the same code. A Hub user can
# ask the Hub for a server without hublaunch, so the Hub checks the image again.
def hublaunch_image_rules():
    """The classes of images and of the patterns that allow them."""
    import re
    from dataclasses import dataclass
    from fnmatch import translate
    from typing import Self
'''
_END = '''
def hublaunch_allows(image, groups):
    """Return whether a member of these groups may run this image."""
    patterns = [*HUBLAUNCH_IMAGES, *(each for group in groups for each in HUBLAUNCH_GROUP_IMAGES.get(group) or ())]
    try:
        reference = ImageReference.parse(image)
        if HUBLAUNCH_REQUIRE_DIGEST and reference.digest is None:
            return False
        return any(hublaunch_matches(ImagePattern.parse(pattern), reference) for pattern in patterns)
    except ValueError:
        return False


def hublaunch_matches(pattern, reference):
    """Whether a pattern allows an image. With LAUNCHER_PIN_DIGEST, an allowed tag comes as the digest behind it."""
    if HUBLAUNCH_PIN_DIGEST and reference.digest is not None and pattern.digest is None:
        return pattern.registry.matches(reference.registry) and pattern.repository.matches(reference.repository)
    return pattern.matches(reference)


def hublaunch_has_size(override, groups):
    """Return whether a member of these groups may have a server with exactly this override."""
    return any(override == of_size and (not of or groups.intersection(of)) for of_size, of in HUBLAUNCH_SIZES)


def apply_launch_options(spawner, options):
    """Run the image of a launch in its size, if the server's user may have both."""
    from tornado import web

    groups = {group.name for group in spawner.user.groups}
    image = options.get("image")
    if image is not None:
        if not (isinstance(image, str) and hublaunch_allows(image, groups)):
            raise web.HTTPError(400, "image not allowed")
        spawner.image = image
    override = options.get("spawner_override")
    if override is not None:
        if not hublaunch_has_size(override, groups):
            raise web.HTTPError(400, "size not allowed")
        for name, value in override.items():
            if isinstance(value, dict):
                value = {**getattr(spawner, name), **value}
            setattr(spawner, name, value)
    if isinstance(options.get("repo_url"), str):
        spawner.environment = {**spawner.environment, "LAUNCH_REPO_URL": options["repo_url"]}


ImageReference, ImagePattern = hublaunch_image_rules()
c.Spawner.apply_user_options = apply_launch_options
'''


def wall() -> str:
    """Return the text, for Python 3.11.

    It reads HUBLAUNCH_IMAGES, HUBLAUNCH_GROUP_IMAGES, HUBLAUNCH_SIZES, HUBLAUNCH_REQUIRE_DIGEST and
    HUBLAUNCH_PIN_DIGEST.
    """
    constants = [
        *_constants(glob, "_PIECES", "_ADDRESS"),
        *_constants(image, "IMAGE_MAX", "_IMAGE", "_DOCKER_HUB", "_DOCKER_HUB_BEFORE", "_OFFICIAL"),
    ]
    sources = [
        *_sources(glob, "Glob"),
        *_sources(image, "ImageReference", "ImagePattern", "_split", "_locate", "_is_registry"),
    ]
    rules = "\n\n".join(["\n".join(constants), *sources])
    returned = "return ImageReference, ImagePattern"
    inside = indent(f"{rules}\n\n{returned}", "    ")
    return f"{cleandoc(_BEGIN)}\n\n{inside}\n\n\n{cleandoc(_END)}\n"


def _sources(module: ModuleType, *names: str) -> list[str]:
    return [getsource(getattr(module, name)).rstrip() for name in names]


def _constants(module: ModuleType, *names: str) -> list[str]:
    written = []
    for name in names:
        value = getattr(module, name)
        text = f"re.compile({value.pattern!r})" if isinstance(value, re.Pattern) else repr(value)
        written.append(f"{name} = {text}")
    return written
