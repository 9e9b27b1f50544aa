"""Sizes of the catalogue on a real JupyterHub with a spawner of plain processes, configured as the guide says."""

import asyncio
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hublaunch.demo.leftovers import marked_processes
from hublaunch.demo.process import HubProcess
from hublaunch.demo.proxy import proxy_command, proxy_directory
from tests.hubs import quick_server
from tests.support.processes import events, launch, replica

CONFIG = Path(quick_server.__file__).with_name("sizes_config.py")
CATALOGUE = {
    "environments": {"scipy": {"title": "SciPy", "image": "quay.io/org/scipy:1", "sizes": ["small", "staff", "other"]}},
    "sizes": {
        "small": {"title": "S", "user_options": {"spawner_override": {"cpu_limit": 1, "mem_limit": "2G"}}},
        "staff": {"title": "L", "user_options": {"spawner_override": {"cpu_limit": 4, "mem_limit": "16G"}}},
        "other": {"title": "X", "user_options": {"spawner_override": {"cmd": ["sh"]}}},
    },
}


def variables_of(pid: int) -> dict[str, str]:
    return dict(re.findall(r"([A-Z_]+)=([^\0]*)\0", Path(f"/proc/{pid}/environ").read_text()))


def limits_in(state: Path) -> list[tuple[str, str]]:
    """Return the limits in the environment of each running server."""
    found = map(variables_of, marked_processes(state))
    return [(each["CPU_LIMIT"], each["MEM_LIMIT"]) for each in found if "MEM_LIMIT" in each]


@pytest.mark.real_hub
@pytest.mark.timeout(120)
async def test_a_size_sets_the_spawner_only_if_the_hub_has_it_too(tmp_path: Path) -> None:
    state, catalogue = tmp_path / "hub", tmp_path / "catalogue.json"
    state.mkdir()
    catalogue.write_text(json.dumps(CATALOGUE))
    command = await asyncio.to_thread(proxy_command, proxy_directory(state))
    hub = HubProcess(state=state, proxy_command=command, public_port=0, config=CONFIG)
    address: Any = SimpleNamespace(url=hub.public_url, api_token=hub.token)
    variables = {"LAUNCHER_CATALOGUE_FILE": str(catalogue), "LAUNCHER_PREFLIGHT": "off"}
    async with hub, replica(address, f"sqlite:///{tmp_path}/hublaunch.sqlite", **variables) as service:
        ends = {}
        for size in ("small", "staff", "other"):
            accepted = await launch(service, {"environment": "scipy", "size": size})
            ends[size] = (await events(service, accepted))[-1]
        limits = limits_in(state)

    assert ends["small"]["phase"] == "ready", ends["small"]
    assert limits == [("1.0", str(2 * 1024**3))]
    for size in ("staff", "other"):
        assert (ends[size]["phase"], ends[size]["problem"]["code"]) == ("failed", "hub_refused")
        assert "size not allowed" in ends[size]["problem"]["detail"]
