"""Why the demo cannot run."""


class DemoError(Exception):
    """`str()` says in a sentence what is missing or went wrong."""
