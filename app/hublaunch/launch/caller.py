"""Caller: who makes a request, and what they may do."""

from dataclasses import dataclass, field
from typing import Literal

from hublaunch.launch.rules.invitation import Invitation


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The caller of a request, and their rights. Only kind and key identify a caller, and are stored."""

    kind: Literal["admin_link", "anonymous", "hub", "invitation", "key", "pool"]
    """`admin_link` launches nothing. `pool` is this service itself, which starts the members of warm pools."""
    key: str
    """The network address of an anonymous caller, or the name of a Hub user, an invitation, an admin
    link, an API key or a pool.
    """
    groups: frozenset[str] = field(default=frozenset(), compare=False)
    """The Hub user's groups at the Hub."""
    allowed_images: tuple[str, ...] | None = field(default=None, compare=False)
    """The image patterns of an API key; None uses the service's."""
    environments: tuple[str, ...] | None = field(default=None, compare=False)
    """The environments of the catalogue that an API key or an invitation lists; None if it does not list any."""
    max_active: int | None = field(default=None, compare=False)
    """Launches that may be active at once, under the key's or the invitation's own quota; None means no quota."""
    invitation: Invitation | None = field(default=None, compare=False)
    """The invitation that the caller holds."""
    may_name_user: bool = field(default=False, compare=False)
    """Whether the caller's requests may name the Hub user whose account is used."""
    is_admin: bool = field(default=False, compare=False)
    """Whether the caller sees and may cancel everybody's launches."""

    @property
    def is_shared(self) -> bool:
        """Whether strangers may be this same caller, so that only a launch's secret shows whose launch it is."""
        return self.kind in ("anonymous", "invitation")
