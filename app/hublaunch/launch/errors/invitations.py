"""Refusals of invitations, in words for the visitors who hold them."""

from datetime import UTC, datetime, time, timedelta

from hublaunch.launch.errors.refusals import AccessDenied, QuotaReached, Unauthenticated
from hublaunch.launch.rules.quota import Quota


class InvitationUnknown(Unauthenticated):
    """The code is wrong, or this service accepts no invitations: LAUNCHER_ACCESS lacks `invitation`."""

    code = "invitation_unknown"
    title = "There is no such invitation"
    sentence = "This service does not know this invitation."
    advice = "Open the link again exactly as you received it, or ask the person who sent it for a new one."


class InvitationEnded(AccessDenied):
    """The invitation's time is over, or an operator has revoked it."""

    code = "invitation_ended"
    title = "This invitation has ended"
    advice = "Ask the person who sent you the link for a new one."

    def __init__(self, at: datetime, *, was_revoked: bool) -> None:
        at = at.astimezone(UTC)
        if was_revoked:
            super().__init__(f"It was withdrawn on {at.day} {at:%B %Y at %H:%M} UTC.")
        elif at.time() == time():
            last = at - timedelta(days=1)
            super().__init__(f"Its last day was {last.day} {last:%B %Y} (UTC).")
        else:
            super().__init__(f"It ended on {at.day} {at:%B %Y at %H:%M} UTC.")


class InvitationFull(QuotaReached):
    """The holders of the invitation have as many active launches as it allows."""

    code = "invitation_full"
    title = "This invitation is full"
    advice = "Try again in a few minutes: a place becomes free when a server of this invitation stops."

    def __init__(self, quota: Quota, *, active: int) -> None:
        super().__init__(quota, active=active, sentence=f"Servers in use: {active} of {quota.most}.")
