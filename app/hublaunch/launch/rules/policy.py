"""Who may launch what."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from hublaunch.launch.errors import DigestRequired, ImageNotAllowed, RepoNotAllowed
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.carried_urls import carried
from hublaunch.launch.rules.image import ImagePattern
from hublaunch.launch.rules.repo import RepoPattern, repo_name
from hublaunch.launch.rules.repo_url import check_repo_url


class Policy:
    """Which images may be launched, by whom, and for which repositories.

    No image pattern allows no image. No pattern in `allowed_repos` allows any repository, and none; with one a launch
    has to name its repository. `banned_repos` wins over all. The constructor raises ValueError for what is no pattern.
    """

    def __init__(
        self,
        allowed_images: Sequence[str],
        *,
        allowed_repos: Sequence[str] = (),
        banned_repos: Sequence[str] = (),
        require_digest: bool = False,
        group_allowed_images: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._images = tuple(allowed_images)
        self._group_images = {group: tuple(patterns) for group, patterns in (group_allowed_images or {}).items()}
        for patterns in (self._images, *self._group_images.values()):
            _image_patterns(patterns)
        self._allowed_repos = [RepoPattern.parse(pattern) for pattern in allowed_repos]
        self._banned_repos = [RepoPattern.parse(pattern) for pattern in banned_repos]
        self._require_digest = require_digest

    def check(
        self, request: LaunchRequest, *, allowed_images: Sequence[str] | None = None, groups: Collection[str] = ()
    ) -> None:
        """RepoNotAllowed, DigestRequired or ImageNotAllowed if the launch may not be.

        `allowed_images` are an API key's own patterns, in place of the service's; each of the caller's Hub `groups`
        adds its own. ValueError if one of `allowed_images` is no pattern; who stores them asks `ImagePattern.parse`.
        """
        self._check_repos(request)
        image = request.image_reference
        if self._require_digest and image.digest is None:
            raise DigestRequired
        patterns = _image_patterns(self.allowed(allowed_images=allowed_images, groups=groups))
        if not any(pattern.matches(image) for pattern in patterns):
            raise ImageNotAllowed(any_allowed=bool(patterns) or allowed_images is not None)

    def allowed(self, *, allowed_images: Sequence[str] | None = None, groups: Collection[str] = ()) -> tuple[str, ...]:
        """The patterns of the images that may be launched, as the operator wrote them, each once."""
        patterns = list(self._images if allowed_images is None else allowed_images)
        for group in sorted(groups):
            patterns += self._group_images.get(group, ())
        return tuple(dict.fromkeys(patterns))

    def _check_repos(self, request: LaunchRequest) -> None:
        """The repository and each other address that the launch carries; one below the repository goes with it."""
        if not (self._allowed_repos or self._banned_repos):
            return
        below = None
        if request.repo_url:
            self._check_name(request.repo_name)
            below = f"{request.repo_name}/"
        elif self._allowed_repos:
            raise RepoNotAllowed(named=False)
        for address in carried(request):
            self._check_name(_checked_name(address), below=below)

    def _check_name(self, name: str, *, below: str | None = None) -> None:
        banned = any(pattern.bans(name) for pattern in self._banned_repos)
        allowed = not self._allowed_repos or any(pattern.allows(name) for pattern in self._allowed_repos)
        if banned or not (allowed or (below is not None and name.startswith(below))):
            raise RepoNotAllowed(named=True)


def _checked_name(address: str | None) -> str:
    """RepoNotAllowed for what names no repository: its readers may not agree on which it is."""
    if not address:
        raise RepoNotAllowed(named=True)
    try:
        check_repo_url(address)
    except ValueError:
        raise RepoNotAllowed(named=True) from None
    return repo_name(address)


@lru_cache(maxsize=256)
def _image_patterns(patterns: tuple[str, ...]) -> tuple[ImagePattern, ...]:
    """Parsed once for all launches of an API key."""
    return tuple(ImagePattern.parse(pattern) for pattern in patterns)
