"""`hublaunch demo --check`: one launch, from the request to a result of its kernel and to its clean-up."""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from hublaunch.demo.errors import DemoError
from hublaunch.demo.process import HubProcess
from hublaunch.doctor.kernel import run_in_kernel

CHECK_TIMEOUT_S = 180.0
CHECK_BODY = {
    "image": "quay.io/jupyter/minimal-notebook:latest",
    "repo_url": "https://github.com/binder-examples/requirements",
}


async def check_launch(url: str, hub: HubProcess, *, timeout_s: float = CHECK_TIMEOUT_S) -> int:
    """Launch, open, run `1+1`, cancel, and check that nothing is left at the Hub.

    Returns 0, or 1 after printing what failed.
    """
    try:
        async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as http:
            location, secret, ready = await _launch(http, url)
            await _open(http, ready["open_url"])
            await _calculate(http, ready["url"], ready["token"])
            await _cancel(http, urljoin(url, location), secret)
            await _check_hub(http, hub, ready["url"])
    except (DemoError, TimeoutError, aiohttp.ClientError) as error:
        print(f"The check failed: {str(error) or 'it took too long.'}", file=sys.stderr)
        return 1
    print("The check passed.", flush=True)
    return 0


async def _launch(http: aiohttp.ClientSession, url: str) -> tuple[str, str, dict[str, Any]]:
    """Return the path of the launch, its secret, and the data of its `ready` event."""
    async with http.post(f"{url}/launch", json=CHECK_BODY, headers={"Accept": "text/event-stream"}) as stream:
        stream.raise_for_status()
        async for line in stream.content:
            if not line.startswith(b'data: {"launch_id"'):
                continue
            event: dict[str, Any] = json.loads(line[len(b"data: ") :])
            print(f"{event['phase']:10} {event['progress']:3} %  {event['message']}", flush=True)
            if event["phase"] == "ready":
                return stream.headers["Location"], stream.headers["X-Launch-Secret"], event
            if event["phase"] in ("failed", "cancelled"):
                raise DemoError(event.get("problem", {}).get("detail", event["message"]))
    raise DemoError("the stream ended before the launch did.")


async def _open(http: aiohttp.ClientSession, open_url: str) -> None:
    async with http.get(open_url) as page:
        text = await page.text()
        if page.status != 200 or "jupyter-config-data" not in text:
            raise DemoError(f"the server's page answered {page.status} and is not JupyterLab.")
    print("opened     JupyterLab answers", flush=True)


async def _calculate(http: aiohttp.ClientSession, url: str, token: str) -> None:
    result = await run_in_kernel(http, url, token, "1+1")
    if result != "2":
        raise DemoError(f"1+1 gave {result!r}.")
    print("kernel     1+1 = 2", flush=True)


async def _cancel(http: aiohttp.ClientSession, launch_url: str, secret: str) -> None:
    while True:
        async with http.delete(launch_url, headers={"X-Launch-Secret": secret}) as answer:
            answer.raise_for_status()
            if answer.status == 204:
                break
        await asyncio.sleep(0.2)
    print("cancelled  the Hub has confirmed it", flush=True)


async def _check_hub(http: aiohttp.ClientSession, hub: HubProcess, server_url: str) -> None:
    username = urlsplit(server_url).path.split("/")[2]
    headers = {"Authorization": f"token {hub.token}"}
    async with http.get(f"{hub.api_url}users/{username}", headers=headers) as answer:
        if answer.status != 404:
            raise DemoError("the Hub still has the user.")
    print("clean      the Hub has neither the user nor the server", flush=True)
