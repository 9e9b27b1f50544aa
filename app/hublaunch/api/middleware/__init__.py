"""ASGI middleware: the checks that every request passes before a route, and the log of how it was answered."""
