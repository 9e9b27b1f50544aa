"""Whether Kubernetes runs the image that a launch asks for, by the images that its events name.

KubeSpawner ignores `image` where `profile_list` puts the default profile in its place, and tells nobody.
"""

import re
from collections.abc import Sequence

from hublaunch.launch.rules.image import ImageReference

_NAMED = re.compile(
    r"(?:\S+ ){1,2}\[(?:Normal|Warning)\] "
    r'(?:(?:Pulling|Successfully pulled|Back-off pulling|Container) image|Failed to pull image) "([^"]+)"'
)


def other_image(asked: str, told: Sequence[str]) -> str | None:
    """The image that Kubernetes runs in place of the one `asked` for; None if nothing shows that it does.

    A pod pulls the images of its init containers and sidecars too. So only if no event names the image asked for, the
    last image that an event names is another one. `told`: messages of the Hub, oldest first.
    """
    named = [found[1] for message in told if (found := _NAMED.match(message))]
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
    """Also behind a mirror that puts a registry of its own before the name, or a digest in the place of the tag."""
    if asked.digest is not None:
        return named.digest == asked.digest
    path = asked.repository.removeprefix("library/")
    is_path = f"{named.registry}/{named.repository}".endswith(f"/{path}")
    return is_path and (named.digest is not None or named.tag == asked.tag)
