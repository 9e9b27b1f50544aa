"""The real Thebe on a page of another origin launches with `/build` on a real Hub, and runs a cell there."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from hublaunch.settings import Settings
from tests.browser.conftest import ELSEWHERE
from tests.browser.stage import served
from tests.support.node import PACKAGES
from tests.support.served import Service, serve

pytestmark = [
    pytest.mark.browser,
    pytest.mark.real_hub,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
]

THEBE = PACKAGES / "node_modules" / "thebe-core" / "dist" / "lib"
RUN = """async (binderUrl) => {
    const { makeConfiguration, makeEvents, makeRenderMimeRegistry, makeServer } = window.thebeCore.api;
    const events = makeEvents();
    const told = [];
    events.on("status", (_, event) => told.push(event.message.trim()));
    const options = {
        useBinder: true,
        binderOptions: { binderUrl, repo: "org/repo", ref: "main" },
        kernelOptions: { kernelName: "python3", path: "thebe.ipynb" },
    };
    const config = makeConfiguration(options, events);
    const server = makeServer(config);
    server.connectToServerViaBinder();
    await server.ready;
    const session = await server.startNewSession(makeRenderMimeRegistry(config.mathjax));
    const run = session.kernel.requestExecute({ code: "print(6 * 7)" });
    let output = "";
    run.onIOPub = (message) => { output += message.content.text ?? ""; };
    await run.done;
    return { told, output };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def origin() -> AsyncGenerator[str]:
    """The origin of a site that serves Thebe, different from hublaunch's."""
    with served(THEBE) as port:
        yield f"http://{ELSEWHERE}:{port}"


@pytest_asyncio.fixture(loop_scope="session")
async def service(origin: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """hublaunch beside a real Hub whose servers accept that site's requests."""
    state = tmp_path / "hub"
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(state))
    async with HubProcess(state=state, proxy_command=proxy) as hub:
        allowing = {"ServerApp": {"allow_origin": origin}}
        (state / "jupyter" / "jupyter_server_config.json").write_text(json.dumps(allowing))
        settings = Settings(
            hub_url=hub.public_url,
            hub_url_local=hub.local_url,
            hub_api_token=hub.token,
            database_url=f"sqlite:///{tmp_path}/hublaunch.sqlite",
            allowed_images=("*",),
            cors_origins=(origin,),
            binder_images={"gh/*/*/*": "quay.io/binder/{1}-{2}:{3}"},
        )
        async with serve(settings) as service:
            yield service


async def test_thebe_launches_and_runs_a_cell(context: BrowserContext, service: Service, origin: str) -> None:
    page = await context.new_page()
    await page.goto(f"{origin}/")
    await page.add_script_tag(url=f"{origin}/thebe-core.min.js")
    await page.wait_for_function("window.thebeCore")

    async with asyncio.timeout(120):
        ran = await page.evaluate(RUN, str(service.http.base_url).rstrip("/"))

    assert ran["output"] == "42\n"
    assert "Binder is: built - The image is quay.io/binder/org-repo:main" in ran["told"]
    assert "Binder server is ready: The server is ready" in ran["told"]
