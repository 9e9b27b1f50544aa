"""Content: whether the files of the repository are in a server that has just answered."""

import json
import logging

from hublaunch.launch.model import Attempt, Content, LaunchRequest
from hublaunch.launch.ports import Hub
from hublaunch.launch.rules.content import NOTE
from hublaunch.launch.rules.messages import clean

log = logging.getLogger(__name__)

NO_NBGITPULLER = "The repository cannot be fetched here, because nbgitpuller is not installed in this image."


async def content_fault(
    attempt: Attempt, request: LaunchRequest, url: str, token: str | None, *, hub: Hub
) -> str | None:
    """Return why the files of the repository are not in the server at `url`, for its visitor; None if they are.

    The server is asked with the visitor's `token`: for nbgitpuller, which answers 400 to a request without a
    repository, or for the note of a spawner that could not fetch it. None without a token, or if the answer proves
    nothing: the visitor will see any fault in the browser.
    """
    if request.content is None or token is None:
        return None
    note = f"api/contents/{request.folder}/{NOTE}?type=file&format=text"
    path = "git-pull" if request.content is Content.NBGITPULLER else note
    answer = await hub.read_server(attempt.username, attempt.server_name, url, path, token=token)
    if answer is None:
        return None
    if request.content is Content.SPAWNER:
        return _text_of(answer.content) if answer.status == 200 else None
    if answer.status != 404:
        return None
    log.warning("The image %s has no nbgitpuller, with which its environment fetches repositories", request.image)
    return NO_NBGITPULLER


def _text_of(contents_model: bytes) -> str | None:
    """Return the text of a file in the form of Jupyter's contents API, on one line; None for anything else."""
    try:
        text = json.loads(contents_model)["content"]
    except (ValueError, KeyError, TypeError):
        return None
    return clean(text) or None if isinstance(text, str) else None
