"""The refusal of an admin link."""

from hublaunch.launch.errors.refusals import Unauthenticated


class AdminLinkEnded(Unauthenticated):
    """The credential of an admin link is wrong, or its time is over."""

    code = "admin_link_ended"
    title = "This admin link does not work"
    sentence = "This admin link is wrong, or its time is over."
    advice = "Ask the operator for a new one: `hublaunch admin-link` prints it."
