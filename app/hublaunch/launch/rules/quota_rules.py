"""The operator's rules for quotas, and the quotas that follow from them for a launch.

Launches are counted by name: by the caller's name in the queue, by the repository in lower case, by the image
without tag and digest, and by the size.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.networks import caller_name, groups_of
from hublaunch.launch.rules.quota import Active, Quota, QuotaUse, Scope, matches

_EXAMPLE = "example.org/a"


def counted_as(caller: Caller, request: LaunchRequest) -> Mapping[Scope, str]:
    """Return the names by which a launch is counted. Without a repository or a size, it counts for none."""
    names = {Scope.CALLER: caller_name(caller.kind, caller.key), Scope.IMAGE: request.image_reference.name}
    if request.repo_url:
        names[Scope.REPOSITORY] = request.repo_name.lower()
    if request.size:
        names[Scope.SIZE] = request.size
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A quota for the names that a pattern matches: for each name separately, or for all of them together."""

    pattern: str
    most: int
    together: bool = False
    until: datetime | None = None
    """The rule is ignored from then on."""

    @classmethod
    def parse(
        cls, scope: Scope, pattern: str, *, most: int, together: bool = False, until: datetime | None = None
    ) -> Self:
        """Return a rule. Raises ValueError with a reason if the pattern is invalid."""
        matches(scope, pattern, _EXAMPLE)
        return cls(pattern=pattern, most=most, together=together, until=until)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaRules:
    """The operator's quotas. In each scope, only the first rule that matches and has not ended applies.

    A quota for each caller separately also limits the IPv6 networks around the caller, to a multiple of it
    (`networks.py`).
    """

    total: int | None = None
    rules: tuple[tuple[Scope, Rule], ...] = ()

    def quotas(self, caller: Caller, request: LaunchRequest, *, at: datetime) -> tuple[Quota, ...]:
        """Return the quotas for a launch at this time, including those of the API key or the invitation."""
        names, quotas = counted_as(caller, request), []
        if caller.max_active is not None:
            own = Scope.CALLER if caller.invitation is None else Scope.INVITATION
            quotas.append(Quota(scope=own, most=caller.max_active, name=names[Scope.CALLER]))
        for scope, name in names.items():
            rule = self._rule(scope, name, at)
            if rule is not None and rule.together:
                quotas.append(Quota(scope=scope, most=rule.most, pattern=rule.pattern))
            elif rule is not None:
                quotas.append(Quota(scope=scope, most=rule.most, name=name))
                networks = groups_of(name)[1:] if scope is Scope.CALLER else ()
                quotas += [Quota(scope=scope, most=rule.most * one.share, network=one.name) for one in networks]
        if self.total is not None:
            quotas.append(Quota(scope=Scope.TOTAL, most=self.total))
        return tuple(quotas)

    def in_use(self, active: Active, *, at: datetime) -> Sequence[QuotaUse]:
        """Return the quotas that count active launches, first those with the least room in proportion.

        The quotas of API keys, of invitations and of IPv6 networks are not among them.
        """
        counted = Counter[tuple[Scope, str, int]]()
        for scope, names in active.names.items():
            for name, launches in names.items():
                if rule := self._rule(scope, name, at):
                    counted[scope, rule.pattern if rule.together else name, rule.most] += launches
        if self.total is not None and active.total:
            counted[Scope.TOTAL, "", self.total] = active.total
        used = [
            QuotaUse(scope=scope, counts=counts, active=launches, most=most)
            for (scope, counts, most), launches in counted.items()
        ]
        return sorted(used, key=lambda use: (-use.active / max(use.most, 1), -use.active, use.scope, use.counts))

    def _rule(self, scope: Scope, name: str, at: datetime) -> Rule | None:
        for of_scope, rule in self.rules:
            if of_scope is scope and (rule.until is None or at < rule.until) and matches(scope, rule.pattern, name):
                return rule
        return None
