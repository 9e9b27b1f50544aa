"""Images whose start the demo simulates: a slow start, and failures in the words of KubeSpawner and Kubernetes.

Every other image starts immediately, so only these show failures and the queue.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

REGISTRY = "demo.hublaunch.example"
"""RFC 2606 reserves `.example`, so no real image has such a name."""
_ACTED_IMAGE = re.compile(rf"{re.escape(REGISTRY)}/([a-z-]+)(?:[:@].*)?")


@dataclass(frozen=True, slots=True)
class PodEvent:
    """An event of Kubernetes, `after_s` seconds after the spawn began. `{image}` and `{pod}` are filled in."""

    after_s: float
    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedImage:
    """An image whose start the demo simulates for `seconds`; then the server starts, or the spawn fails."""

    name: str
    title: str
    """Its title in the catalogue."""
    shows: str
    """A line about the image's behavior, for the welcome text."""
    events: Sequence[PodEvent]
    seconds: float
    fails: bool

    @property
    def image(self) -> str:
        """The image to launch. A tag or a digest changes nothing."""
        return f"{REGISTRY}/{self.name}"


_ASSIGNED = PodEvent(0.5, "Normal", "Scheduled", "Successfully assigned {pod} to node-1")
_PULLING = PodEvent(1, "Normal", "Pulling", 'Pulling image "{image}"')
_NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
    'failed to resolve reference "{image}": {image}: not found'
)

SIMULATED_IMAGES = (
    SimulatedImage(
        name="slow",
        title="A slow start",
        shows="starts after 30 seconds",
        seconds=30,
        fails=False,
        events=(
            _ASSIGNED,
            _PULLING,
            PodEvent(
                24,
                "Normal",
                "Pulled",
                'Successfully pulled image "{image}" in 23s (23s including waiting). Image size: 1288490188 bytes.',
            ),
            PodEvent(26, "Normal", "Created", "Created container: notebook"),
            PodEvent(28, "Normal", "Started", "Started container notebook"),
        ),
    ),
    SimulatedImage(
        name="missing",
        title="A missing image",
        shows="does not exist; after two failures hublaunch refuses it for up to 10 minutes",
        seconds=6,
        fails=True,
        events=(
            _ASSIGNED,
            _PULLING,
            PodEvent(3, "Warning", "Failed", f'Failed to pull image "{{image}}": {_NOT_FOUND}'),
            PodEvent(3, "Warning", "Failed", "Error: ErrImagePull"),
            PodEvent(4, "Normal", "BackOff", 'Back-off pulling image "{image}"'),
            PodEvent(4, "Warning", "Failed", "Error: ImagePullBackOff"),
        ),
    ),
    SimulatedImage(
        name="no-room",
        title="A full cluster",
        shows="fits on no node of the cluster",
        seconds=6,
        fails=True,
        events=(
            PodEvent(
                1,
                "Warning",
                "FailedScheduling",
                "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: "
                "3 No preemption victims found for incoming pod.",
            ),
            PodEvent(
                3,
                "Normal",
                "NotTriggerScaleUp",
                "pod didn't trigger scale-up: 1 max node group size reached, 3 Insufficient memory",
            ),
        ),
    ),
)


def simulated_image(image: object) -> SimulatedImage | None:
    """Return the simulated image that a spawn's `user_options` name, or None for every other image."""
    found = _ACTED_IMAGE.fullmatch(image) if isinstance(image, str) else None
    return next((simulated for simulated in SIMULATED_IMAGES if found and simulated.name == found[1]), None)
