"""Where users and servers are in the Hub's API, relative to its root, with names quoted as JupyterHub quotes them."""

from functools import lru_cache
from urllib.parse import quote


@lru_cache(maxsize=4096)
def quoted(part: str) -> str:
    """A part of a path, as JupyterHub quotes it. `.` and `..` would name another resource."""
    if part in ("", ".", ".."):
        raise ValueError("neither a user nor a server has this name")
    return quote(part, safe="@~")


def user_path(username: str) -> str:
    """Of a user."""
    return f"users/{quoted(username)}"


def server_path(username: str, server_name: str) -> str:
    """Of one of a user's servers; `""` is the default one."""
    return f"{user_path(username)}/servers/{quoted(server_name)}" if server_name else f"{user_path(username)}/server"
