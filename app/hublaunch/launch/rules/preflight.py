"""Pre-flight: whether a launch may go to the Hub, by the registry's answer about its image."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hublaunch.launch.errors import ImageAbsent, ImageUnchecked, ImageWrongPlatform, PreflightRefused

PreflightMode = Literal["off", "auto", "require"]


class RegistryOutcome(StrEnum):
    """What a lookup at a registry found out. From `denied` on it is unknown whether the image exists."""

    FOUND = "found"
    ABSENT = "absent"
    """The registry itself says that it has no such manifest or repository."""
    WRONG_PLATFORM = "wrong_platform"
    """The image exists, but for none of the wanted platforms."""
    DENIED = "denied"
    """401 or 403. Many registries hide in this way whether a private image exists."""
    BUSY = "busy"
    """429."""
    FAILED = "failed"
    """A 5xx."""
    SLOW = "slow"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    """The answer is not a registry's, or too large."""
    ELSEWHERE = "elsewhere"
    """The registry leads to another host, which is not asked."""
    FORBIDDEN_ADDRESS = "forbidden_address"
    """The registry's name leads to a private address, to which hublaunch does not connect."""
    NOT_NAMED = "not_named"
    """No pattern of allowed images names the registry, so it is not asked."""
    TOO_MANY = "too_many"
    """This service has asked the registry too often lately."""

    @property
    def is_unknown(self) -> bool:
        """Whether the outcome does not say whether the image exists."""
        return self not in (RegistryOutcome.FOUND, RegistryOutcome.ABSENT, RegistryOutcome.WRONG_PLATFORM)


_UNKNOWN_BECAUSE = {
    RegistryOutcome.DENIED: "its registry does not let this service see the image",
    RegistryOutcome.BUSY: "its registry asks this service to come back later (429)",
    RegistryOutcome.FAILED: "its registry has a fault (5xx)",
    RegistryOutcome.SLOW: "its registry did not answer in time",
    RegistryOutcome.UNREACHABLE: "its registry cannot be reached",
    RegistryOutcome.UNREADABLE: "the answer is not a registry's",
    RegistryOutcome.ELSEWHERE: "its registry leads to another host",
    RegistryOutcome.FORBIDDEN_ADDRESS: "its registry has a private address",
    RegistryOutcome.NOT_NAMED: "this service does not ask its registry",
    RegistryOutcome.TOO_MANY: "this service has asked its registry too often in the last minute",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryAnswer:
    """A registry's answer about one image."""

    outcome: RegistryOutcome
    digest: str | None = None
    """With `found`: the digest of the manifest or index, `sha256:…`."""
    platforms: tuple[str, ...] = ()
    """With `wrong_platform`: the platforms that the image has, such as `linux/arm64`."""

    @property
    def reason(self) -> str:
        """Why it is unknown whether the image exists, as the end of a sentence; `""` if it is known."""
        return _UNKNOWN_BECAUSE.get(self.outcome, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreflightTerms:
    """The operator's settings of pre-flight."""

    mode: PreflightMode
    pulls_alike: bool = False
    """Whether the spawner pulls with the credentials that this service asks with."""

    def refusal(self, answer: RegistryAnswer, *, was_ready: bool) -> PreflightRefused | None:
        """Return why the launch must not go to the Hub, or None if it may.

        `auto` goes on where it does not know, and where a server of this image `was_ready` within the last hour: the
        nodes have the image. `require` goes on only if the registry has the image.
        """
        if self.mode == "off" or answer.outcome is RegistryOutcome.FOUND:
            return None
        if self.mode == "auto" and was_ready:
            return None
        match answer.outcome:
            case RegistryOutcome.ABSENT:
                return ImageAbsent()
            case RegistryOutcome.WRONG_PLATFORM:
                return ImageWrongPlatform(answer.platforms)
            case RegistryOutcome.DENIED if self.pulls_alike:
                return ImageAbsent(is_hidden=True)
        return ImageUnchecked(answer.reason) if self.mode == "require" else None
