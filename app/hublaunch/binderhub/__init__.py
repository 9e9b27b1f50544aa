"""BinderHub: its API `GET /build` for its clients, and `Launcher`, which replaces BinderHub's class `Launcher`.

`Launcher` is imported on first use, because it needs `hublaunch[binderhub]`, and the API does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hublaunch.binderhub.launcher import Launcher

__all__ = ["Launcher"]


def __getattr__(name: str) -> Any:
    """Import `Launcher` on first use. Raises an ImportError that names the extra to install if it is missing."""
    if name != "Launcher":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module("hublaunch.binderhub.launcher").Launcher
    except ModuleNotFoundError as error:
        raise ImportError(
            f"hublaunch.binderhub.Launcher needs {error.name}, which is not installed. "
            "Run: pip install 'hublaunch[binderhub]'"
        ) from error
