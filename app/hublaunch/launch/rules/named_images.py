"""Detects from Kubernetes' events that a server does not run the image that the launch asked for.

KubeSpawner silently ignores `image` if its `profile_list` applies the default profile instead.
"""

import re
from collections.abc import Sequence

from hublaunch.launch.rules.image import ImageReference
from hublaunch.launch.rules.signs import Message

_NAMED = re.compile(
    r'(?:(?:Pulling|Successfully pulled|Back-off pulling|Container) image|Failed to pull image) "([^"]+)"'
)


def other_image(asked: str, messages: Sequence[Message]) -> str | None:
    """Return the image that Kubernetes runs instead of the one `asked` for; None if there is no sign of that.

    `messages`: the Hub's messages, oldest first. A pod also pulls the images of its init containers and
    sidecars, and a message alone does not name its container. So this returns the image of the last event only if none
    names the image asked for.
    """
    events = [each.raw_event for each in messages if each.raw_event and each.raw_event.is_of_server]
    named = [found[1] for event in events if (found := _NAMED.match(event.message))]
    references = [other for name in named if (other := _parsed(name))]
    if not references:
        return None
    reference = _parsed(asked)
    if reference is None or any(_is_same(reference, other) for other in references):
        return None
    return str(references[-1])


def _parsed(image: str) -> ImageReference | None:
    try:
        return ImageReference.parse(image)
    except ValueError:
        return None


def _is_same(asked: ImageReference, named: ImageReference) -> bool:
    """Return whether these are the same image, even if a mirror prefixes its registry or replaces the tag."""
    if asked.digest is not None:
        return named.digest == asked.digest
    path = asked.repository.removeprefix("library/")
    is_path = f"{named.registry}/{named.repository}".endswith(f"/{path}")
    return is_path and (named.digest is not None or named.tag == asked.tag)
