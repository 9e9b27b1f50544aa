"""Kubernetes' own events about a server's pod, which KubeSpawner sends beside its words for them."""

import re
from dataclasses import dataclass

from hublaunch.launch.rules.messages import clean

_SERVER = "notebook"
"""KubeSpawner's name for the container that runs the server."""

_HEAD = re.compile(r"(?:None|\d{4}-\d\d-\d\d[T ]\S+) (?:\[(?P<type>Normal|Warning)\]|(?P<sign>[\u26a0\u2139])\ufe0f?) ")
"""The time, and the type as a word or, from kubespawner#910 on, as a symbol."""
_PULLED = re.compile(r"Successfully pulled image .* Image size: (\d{1,15}) bytes")
_TYPES = {"\u26a0": "Warning", "\u2139": "Normal"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawEvent:
    """An event of Kubernetes. It explains failures; `message` is the only field that anybody may be shown."""

    message: str
    reason: str = ""
    """Kubernetes' code for the event, such as `FailedScheduling`; `""` if KubeSpawner sent only its words."""
    type: str = ""
    """`Normal` or `Warning`."""
    container: str = ""
    """The container that the event is about; `""` if it is about the whole pod."""

    @property
    def is_of_server(self) -> bool:
        """Whether the event may be about the server's own container, rather than an init container or a sidecar."""
        return self.container in ("", _SERVER)

    @property
    def image_bytes(self) -> int | None:
        """The size of the server's image, as recent kubelets report it after a pull; None in every other event."""
        size = _PULLED.match(self.message) if self.is_of_server else None
        return int(size[1]) if size else None


def read(message: str, raw_event: RawEvent | None) -> tuple[str, RawEvent | None]:
    """Return the spawner's words, without KubeSpawner's time and type, and the event of Kubernetes, both cleaned.

    Where the spawner sent no event, its words are taken for Kubernetes' if they begin as KubeSpawner's do.
    """
    words = clean(message)
    head = _HEAD.match(words)
    if head:
        words = words[head.end() :]
    if raw_event:
        return words, RawEvent(
            message=clean(raw_event.message) or words,
            reason=clean(raw_event.reason),
            type=clean(raw_event.type),
            container=clean(raw_event.container),
        )
    return words, RawEvent(message=words, type=head["type"] or _TYPES[head["sign"]]) if head else None
