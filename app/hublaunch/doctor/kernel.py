"""Code run in a new kernel of a Jupyter server, through Jupyter Server's REST and websocket API."""

import uuid
from typing import Any

import aiohttp


async def run_in_kernel(http: aiohttp.ClientSession, url: str, token: str, code: str) -> str | None:
    """Run the code in a new kernel, and return the value of its last expression; None if the kernel ends first.

    `url`: the server's root, ending in `/`. Raises aiohttp.ClientError, or ValueError, KeyError or TypeError if the
    answers are not a Jupyter server's. The kernel runs until the server stops.
    """
    headers = {"Authorization": f"token {token}"}
    async with http.post(f"{url}api/kernels", json={}, headers=headers) as created:
        created.raise_for_status()
        kernel = (await created.json())["id"]
    async with http.ws_connect(f"{url}api/kernels/{kernel}/channels", headers=headers) as socket:
        await socket.send_json(_execute_request(code))
        async for message in socket:
            told = message.json()
            if told["msg_type"] == "execute_result":
                return str(told["content"]["data"]["text/plain"])
            if told["msg_type"] == "error":
                return str(told["content"]["evalue"])
    return None


def _execute_request(code: str) -> dict[str, Any]:
    """Return an `execute_request` of https://jupyter-client.readthedocs.io/en/stable/messaging.html ."""
    return {
        "channel": "shell",
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": uuid.uuid4().hex,
            "username": "",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
        },
    }
