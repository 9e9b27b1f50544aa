"""The notebook in `docs/`, run against a real JupyterHub with real servers."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.support.processes import replica

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "client.ipynb"


@dataclass(frozen=True)
class Address:
    url: str
    api_token: str


def outputs(notebook: str) -> list[str]:
    """Return the output of each code cell, as text."""
    cells: list[dict[str, Any]] = json.loads(notebook)["cells"]
    return ["".join(_text(output) for output in cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]


def _text(output: dict[str, Any]) -> str:
    return "".join(output["text"] if "text" in output else output["data"]["text/plain"])


@pytest.mark.real_hub
@pytest.mark.timeout(240)
async def test_the_notebook_runs_with_the_outputs_that_it_shows(tmp_path: Path) -> None:
    proxy = await asyncio.to_thread(proxy_command, proxy_directory(tmp_path / "state"))
    async with (
        HubProcess(state=tmp_path / "state", proxy_command=proxy, public_port=0) as hub,
        replica(Address(hub.public_url, hub.token), f"sqlite:///{tmp_path}/hublaunch.sqlite") as served,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--stdout", str(NOTEBOOK)),
            env=os.environ | {"HUBLAUNCH_URL": str(served.http.base_url), "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        notebook, complained = await process.communicate()

    assert process.returncode == 0, complained.decode()
    assert outputs(notebook.decode()) == outputs(NOTEBOOK.read_text())


def test_the_notebook_holds_no_secret() -> None:
    text = NOTEBOOK.read_text()

    assert "?token=" not in text
    assert '"output_type": "error"' not in text
