"""Why a launch was refused or failed, as callers see it."""

from dataclasses import dataclass

from hublaunch.launch.errors import LaunchError


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a request was refused or a launch failed, for people and for programs (RFC 9457)."""

    code: str
    """Stable and machine-readable; the problem's `type` is derived from it."""
    title: str
    detail: str
    advice: str
    """Advice for the caller."""
    operator_advice: str = ""
    """Advice for the operator. Only admins and the log get it."""

    @classmethod
    def of(cls, error: LaunchError) -> "Problem":
        return cls(
            code=error.code,
            title=error.title,
            detail=str(error),
            advice=error.advice,
            operator_advice=error.operator_advice,
        )
