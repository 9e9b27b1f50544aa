"""The error that ends the demo."""


class DemoError(Exception):
    """The demo cannot run; `str()` says why."""
