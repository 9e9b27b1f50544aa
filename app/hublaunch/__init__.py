"""hublaunch: launch-as-a-service for JupyterHub.

`LaunchClient` calls a hublaunch service over HTTP and needs httpx only. `Launcher` launches at a Hub without a service
and needs `hublaunch[server]`. Both are imported on first use, so that neither loads packages that only the other needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hublaunch.client import LaunchClient
    from hublaunch.launcher import Launcher

__all__ = ["LaunchClient", "Launcher"]

_HOME = {"LaunchClient": "hublaunch.client", "Launcher": "hublaunch.launcher"}


def __getattr__(name: str) -> Any:
    """Import a public class on first use. If a package is missing, the ImportError names the extra to install."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs {error.name}, which is not installed. Run: pip install 'hublaunch[server]'"
        ) from error


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
