"""The rules for launches, read from the settings."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from hublaunch.binderhub.images import BinderImages, ImageMapping
from hublaunch.launch.acceptance.account import ServerLimits
from hublaunch.launch.course.attempt import Entry
from hublaunch.launch.rules.guard import Guard
from hublaunch.launch.rules.image import ImagePattern
from hublaunch.launch.rules.policy import Policy
from hublaunch.launch.rules.repo import RepoPattern
from hublaunch.launch.rules.session import SessionTerms
from hublaunch.settings import Settings, SettingsFault

T = TypeVar("T")


def policy_of(settings: Settings) -> Policy:
    """Return the rules for images and repositories; SettingsFault names each invalid pattern."""
    faults = [
        *_faults("LAUNCHER_ALLOWED_IMAGES: pattern", settings.allowed_images, ImagePattern.parse),
        *_faults("LAUNCHER_ALLOWED_REPOS: pattern", settings.allowed_repos, RepoPattern.parse),
        *_faults("LAUNCHER_BANNED_REPOS: pattern", settings.banned_repos, RepoPattern.parse),
    ]
    for group, patterns in settings.group_allowed_images.items():
        faults += _faults(f"LAUNCHER_GROUP_ALLOWED_IMAGES: {group}, pattern", patterns, ImagePattern.parse)
    if faults:
        raise SettingsFault(faults)
    return Policy(
        settings.allowed_images,
        allowed_repos=settings.allowed_repos,
        banned_repos=settings.banned_repos,
        require_digest=settings.require_digest,
        group_allowed_images=settings.group_allowed_images,
    )


def binder_images_of(settings: Settings) -> BinderImages:
    """Return the images of BinderHub's specs; SettingsFault names each invalid pattern."""
    pairs = list(settings.binder_images.items())
    faults = _faults("LAUNCHER_BINDER_IMAGES: pattern", pairs, lambda pair: ImageMapping.parse(*pair))
    if faults:
        raise SettingsFault(faults)
    mappings = [ImageMapping.parse(*pair) for pair in pairs]
    return BinderImages(mappings, allowed_extra_args=settings.allowed_extra_args)


def server_limits_of(settings: Settings) -> ServerLimits:
    """Return how many servers an existing user may have."""
    return ServerLimits(
        allow_named_servers=settings.allow_named_servers,
        named_server_limit_per_user=settings.named_server_limit_per_user,
    )


def entry_of(settings: Settings) -> Entry:
    """Return how visitors get into their servers.

    A token outlives the longest session. It is created while the server starts, and the launch may be requeued then.
    """
    longest_s = session_terms_of(settings).longest_s
    until_ready_s = settings.launch_timeout + settings.max_wait_s
    needed_s = math.ceil(longest_s + until_ready_s) if longest_s else 0
    return Entry(token_mode=settings.token_mode, token_lifetime_s=max(settings.token_lifetime_s, needed_s))


def guard_of(settings: Settings) -> Guard:
    """Return the Hub guard."""
    return Guard(mode=settings.hub_guard, failure_limit=settings.hub_failure_limit)


def session_terms_of(settings: Settings) -> SessionTerms:
    """Return how long servers may run."""
    return SessionTerms(most_s=settings.max_session_s, most_extended_s=settings.max_extended_session_s)


def warm_obstacles(settings: Settings) -> Sequence[str]:
    """Return why no server can be kept ready with these settings, in sentences that name them; empty if they allow it.

    A server that nobody has taken yet has a temporary user, no visitor's token, and a name that the operator's hook
    never saw.
    """
    found = {
        "LAUNCHER_CREATE_USER is false, so launches get no temporary users.": not settings.create_user,
        "LAUNCHER_ACCESS is hub, so every launch is on its caller's own account.": set(settings.access) == {"hub"},
        "LAUNCHER_TOKEN_MODE is user_options, so a server needs its visitor's token when it starts.": (
            settings.token_mode == "user_options"
        ),
        "LAUNCHER_PRE_LAUNCH_HOOK must see the request of each launch before its server starts.": (
            settings.pre_launch_hook is not None
        ),
    }
    return [sentence for sentence, is_so in found.items() if is_so]


def _faults(where: str, patterns: Sequence[T], parse: Callable[[T], object]) -> list[str]:
    faults = []
    for number, pattern in enumerate(patterns, start=1):
        try:
            parse(pattern)
        except ValueError as error:
            faults.append(f"{where} {number} {error}.")
    return faults
