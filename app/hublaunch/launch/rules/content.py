"""Content: the folder of a repository's files in a server, and the addresses that fetch and show them.

A spawner that fetches them, and nbgitpuller in the server, both put them into a folder of the home directory.
https://nbgitpuller.readthedocs.io/en/latest/topic/url-options.html
"""

from ipaddress import ip_address
from urllib.parse import quote, urlencode, urlsplit

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import Content, LaunchRequest
from hublaunch.launch.rules.percent import encoded
from hublaunch.launch.rules.ref import is_commit, short_name

LAB = "lab"
NOTE = "CONTENT-FAILED.md"
"""The file in the folder in which a spawner says why it has not fetched the repository."""
_OPENS_FOLDERS = frozenset({"tree", "notebooks", "edit", "render"})
"""The last parts of addresses below which an interface opens files and folders."""
_WITH_TREE = frozenset({"lab", "doc", "retro", "nbclassic"})
"""Interfaces that open a file below their address and `/tree`."""


def check_content(request: LaunchRequest) -> None:
    """Raise InvalidRequest if the request's repository and ref cannot be fetched by the program that it names."""
    if request.content is None:
        return
    scheme, _, _ = request.repo_url.partition("://")
    if scheme != "https" and not (scheme == "http" and _is_loopback(urlsplit(request.repo_url).hostname or "")):
        raise InvalidRequest("repo_url", "must begin with https:// here, because the files are fetched from it")
    if request.content is Content.NBGITPULLER and is_commit(request.ref):
        raise InvalidRequest("ref", "must be a branch or a tag here, because nbgitpuller cannot fetch a commit")


def opened_path(request: LaunchRequest, *, fault: str | None = None) -> str:
    """Return the path that `open_url` opens, relative to the server's root. With content it is percent-encoded.

    It fetches the files of the repository if the spawner has not, and shows them. With a `fault` of the content, it
    opens the interface of the environment, or the spawner's note about the fault.
    """
    if request.content is None:
        return request.path
    name = request.folder
    if request.content is Content.NBGITPULLER:
        return request.opens if fault else _pull_link(request, _shown(name, request.path, opens=request.opens))
    return _shown(name, NOTE if fault else request.path, opens=request.opens)


def path_elsewhere(request: LaunchRequest) -> str:
    """Return the path to open in a server that this launch did not start: nbgitpuller may be in it, the files are not.

    Otherwise as `opened_path`.
    """
    return opened_path(request) if request.content is not Content.SPAWNER else request.opens


def _shown(name: str, path: str, *, opens: str) -> str:
    """Return the address of a path in a folder, or of the folder itself, in the interface `opens`.

    An interface that hublaunch does not know is opened as it is: its address cannot name a file.
    """
    interface = opens.strip("/") or LAB
    if interface in _WITH_TREE:
        interface += "/tree"
    if interface.rpartition("/")[2] not in _OPENS_FOLDERS:
        return encoded(opens.lstrip("/"))
    return encoded(f"{interface}/{name}/{path}".removesuffix("/") if path else f"{interface}/{name}")


def _pull_link(request: LaunchRequest, opens: str) -> str:
    """Return nbgitpuller's link, relative to the server's root: fetch the repository, then open the path `opens`."""
    asked = {"repo": request.repo_url, "branch": short_name(request.ref), "urlpath": opens}
    asked["targetPath"] = request.folder
    return f"git-pull?{urlencode({name: value for name, value in asked.items() if value}, quote_via=quote, safe='')}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
