"""Goal 7: the cost of starting the service, compared with importing its dependencies, and of keeping it running."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, pairs
from tests.support.programs import cpu_s, fake_hub, process, rss_mb, serve

IDLE_S = 30.0
_TELL_MODULES = """
import json, sys
import uvicorn.lifespan.on, uvicorn.loops.uvloop, uvicorn.protocols.http.httptools_impl
import hublaunch.main, hublaunch.cli.service, hublaunch.observe.metrics, hublaunch.observe.scrape
from_files = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]
ours = {*sys.stdlib_module_names, "hublaunch"}
print(json.dumps([name for name in from_files if name.partition(".")[0] not in ours]))
"""
_IMPORT = """
import importlib, json, sys
for name in json.loads(sys.stdin.readline()):
    importlib.import_module(name)
print("imported", flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class _Reading:
    cpu_s: float
    rss_mb: float


async def measure(rounds: int) -> list[Figure]:
    """Measure CPU and memory at the first 200 of /readyz, compared with a process that only imports the dependencies.

    Measures a start whose database has its tables, and a first start, which imports Alembic and creates them.
    """
    modules = await _modules_of_others()
    starts, first_starts, imports = list[_Reading](), list[_Reading](), list[_Reading]()
    for _ in range(rounds):
        with TemporaryDirectory() as directory:
            imports.append(await _import(modules))
            first_starts.append(await _start(Path(directory)))
            starts.append(await _start(Path(directory)))
    return [
        *_figures(f"a start, to importing the {len(modules)} modules of others", starts, imports),
        *_figures("a first start, to the same", first_starts, imports),
        Figure(
            goal="7",
            name=f"CPU with nothing to do, over {IDLE_S:.0f} s",
            values=tuple([await _idle() for _ in range(rounds)]),
            unit="% of a core",
            bar=0.5,
        ),
    ]


def _figures(name: str, starts: list[_Reading], imports: list[_Reading]) -> list[Figure]:
    ours, theirs = [start.cpu_s for start in starts], [imported.cpu_s for imported in imports]
    more_mb = tuple(start.rss_mb - imported.rss_mb for start, imported in zip(starts, imports, strict=True))
    cpu = f"{median(ours):.3g} s, theirs {median(theirs):.3g} s"
    memory = f"{median(start.rss_mb for start in starts):.3g} MB in all"
    return [
        Figure(goal="7", name=f"CPU to /readyz by {name}", values=pairs(ours, theirs), bar=1.3, detail=cpu),
        Figure(goal="7", name=f"memory beyond theirs by {name}", values=more_mb, unit="MB", bar=15.0, detail=memory),
    ]


async def _modules_of_others() -> list[str]:
    async with process("-c", _TELL_MODULES) as child:
        assert child.stdout
        modules: list[str] = json.loads(await child.stdout.readline())
        return modules


async def _import(modules: list[str]) -> _Reading:
    async with process("-c", _IMPORT, stdin=json.dumps(modules) + "\n") as child:
        assert child.stdout
        assert await child.stdout.readline() == b"imported\n"
        return _Reading(cpu_s(child.pid), rss_mb(child.pid))


async def _start(directory: Path) -> _Reading:
    async with fake_hub() as hub, serve(hub, directory) as (_, pid):
        return _Reading(cpu_s(pid), rss_mb(pid))


async def _idle() -> float:
    """Return the share of a core, in percent, that the idle service takes."""
    with TemporaryDirectory() as directory:
        async with fake_hub() as hub, serve(hub, Path(directory)) as (_, pid):
            before = cpu_s(pid)
            await asyncio.sleep(IDLE_S)
            return (cpu_s(pid) - before) / IDLE_S * 100
