"""Who may launch what."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from app.launch.errors import ImageNotAllowed


class ImagePolicy:
    """Which images may be launched: those that one of the glob patterns matches. No pattern allows no image."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)

    def check(self, image: str) -> None:
        """ImageNotAllowed, naming the setting, unless a pattern matches the whole reference."""
        if not any(fnmatchcase(image, pattern) for pattern in self._patterns):
            raise ImageNotAllowed(any_allowed=bool(self._patterns))
