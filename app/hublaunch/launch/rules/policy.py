"""Policy: who may launch which images and repositories."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from hublaunch.launch.errors import DigestRequired, ImageNotAllowed, RepoNotAllowed
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.carried_urls import carried
from hublaunch.launch.rules.image import ImagePattern
from hublaunch.launch.rules.repo import RepoPattern, repo_name
from hublaunch.launch.rules.repo_url import check_repo_url


class Policy:
    """The operator's patterns of allowed images and repositories.

    Without image patterns no image is allowed. Without patterns in `allowed_repos` every launch is allowed, even
    without a repository; with such patterns a launch must name a repository. `banned_repos` overrides everything. The
    constructor raises ValueError for an invalid pattern.
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
            image_patterns(patterns)
        self._allowed_repos = [RepoPattern.parse(pattern) for pattern in allowed_repos]
        self._banned_repos = [RepoPattern.parse(pattern) for pattern in banned_repos]
        self._require_digest = require_digest

    def check(
        self, request: LaunchRequest, *, allowed_images: Sequence[str] | None = None, groups: Collection[str] = ()
    ) -> None:
        """Raise RepoNotAllowed, DigestRequired or ImageNotAllowed if the request is not allowed.

        The catalogue allows the image of an environment, and has decided who may launch it. `allowed_images`: an API
        key's own patterns, which replace the service's. Raises ValueError if one is invalid. Each of the caller's Hub
        `groups` adds its patterns.
        """
        self._check_repos(request)
        image = request.image_reference
        if self._require_digest and image.digest is None:
            raise DigestRequired
        if request.environment:
            return
        patterns = image_patterns(self.allowed(allowed_images=allowed_images, groups=groups))
        if not any(pattern.matches(image) for pattern in patterns):
            raise ImageNotAllowed(any_allowed=bool(patterns) or allowed_images is not None)

    def allowed(self, *, allowed_images: Sequence[str] | None = None, groups: Collection[str] = ()) -> tuple[str, ...]:
        """Return the patterns of the allowed images, as the operator wrote them, without duplicates."""
        patterns = list(self._images if allowed_images is None else allowed_images)
        for group in sorted(groups):
            patterns += self._group_images.get(group, ())
        return tuple(dict.fromkeys(patterns))

    def _check_repos(self, request: LaunchRequest) -> None:
        """Check the repository and every other address in the request; addresses below the repository are allowed."""
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
    """Return the repository's name. Raises RepoNotAllowed if programs may read the address in different ways."""
    if not address:
        raise RepoNotAllowed(named=True)
    try:
        check_repo_url(address)
    except ValueError:
        raise RepoNotAllowed(named=True) from None
    return repo_name(address)


@lru_cache(maxsize=256)
def image_patterns(patterns: tuple[str, ...]) -> tuple[ImagePattern, ...]:
    """Parse the patterns, once for all launches with the same ones."""
    return tuple(ImagePattern.parse(pattern) for pattern in patterns)
