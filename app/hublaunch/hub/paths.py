"""Paths of users and servers in the Hub's API, relative to its root. Names are quoted the way JupyterHub does it."""

from functools import lru_cache
from urllib.parse import quote


@lru_cache(maxsize=4096)
def quoted(part: str) -> str:
    """Quote one part of a path. Raises ValueError for `.` and `..`, which would name another resource."""
    if part in ("", ".", ".."):
        raise ValueError("no user or server can have this name")
    return quote(part, safe="@~")


def user_path(username: str) -> str:
    """Return the path of a user."""
    return f"users/{quoted(username)}"


def server_path(username: str, server_name: str) -> str:
    """Return the path of a user's server; `""` is the default server."""
    return f"{user_path(username)}/servers/{quoted(server_name)}" if server_name else f"{user_path(username)}/server"
