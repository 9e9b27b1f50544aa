"""The demo with a real JupyterHub, its proxy, JupyterLab and a kernel."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def processes_in(directory: Path) -> list[str]:
    """Return the processes whose arguments or environment name the directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in told:
            found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.real_hub
@pytest.mark.timeout(240)
async def test_the_demo_launches_runs_a_cell_cleans_up_and_leaves_no_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hublaunch.cli", "demo", "--check", "--state", str(state)),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    said = (await process.communicate())[0].decode()

    assert process.returncode == 0, said + (state / "jupyterhub.log").read_text()[-3000:]
    assert "local Python environment" in said
    assert "1+1 = 2" in said
    assert said.index("waiting") < said.index("launching") < said.index("ready  ") < said.index("cancelled")
    assert processes_in(state) == []
