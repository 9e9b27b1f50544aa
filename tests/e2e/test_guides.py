"""The configuration that the guides give to operators of a Hub that starts hublaunch, in a real JupyterHub."""

import asyncio
import sys
from pathlib import Path

import pytest

from hublaunch.demo.leftovers import MARK
from tests.docs.pages import DOCS, ROOT, blocks
from tests.hubs.managed import managed_hub
from tests.support.processes import free_port
from tests.support.served import read_events


def written(page: Path, state: Path) -> str:
    """Return the guide's first block of Python, for the Hub's configuration, with this test's addresses and paths."""
    text = next(block.text for block in blocks(page) if block.language == "python")
    environment = f'"environment": {{"{MARK}": "{state}", "PYTHONPATH": "{ROOT}", '
    for here, there in {
        '"/opt/hublaunch/bin/hublaunch"': f'"{sys.executable}", "-m", "hublaunch.cli"',
        "/var/lib/hublaunch": str(state),
        "8083": str(free_port()),
        '"environment": {': environment,
        '"https://hub.example.org/"': '__import__("os").environ["HUBLAUNCH_DEMO_PUBLIC_URL"]',
    }.items():
        assert here in text
        text = text.replace(here, there)
    return text


@pytest.mark.real_hub
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("page", "image"), [("hub-managed.md", "quay.io/jupyter/base-notebook:latest"), ("beside-tljh.md", "tljh")]
)
async def test_a_hub_user_launches_on_a_hub_configured_as_the_guide_says(tmp_path: Path, page: str, image: str) -> None:
    (tmp_path / "guide.py").write_text(written(DOCS / page, tmp_path))
    async with managed_hub(tmp_path, config="guide_config.py") as hub:
        username = await hub.new_user()
        token, _ = await hub.token(username)
        async with asyncio.timeout(60), hub.caller(token, service="hublaunch") as http:
            accepted = (await http.post("launch", json={"image": image})).raise_for_status().json()
            async with http.stream("GET", f"launch/{accepted['id']}/events") as stream:
                last = [event async for event in read_events(stream)][-1]
            report = (await http.get("readyz")).json()["hub"]

        assert last["phase"] == "ready", last
        assert accepted["username"] == username
        assert await hub.running(username) == [""]
        assert (report["missing_scopes"], report["needless_scopes"]) == ([], [])
