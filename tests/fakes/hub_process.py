"""The fake Hub as a separate process, for benchmarks.

    python -m tests.fakes.hub_process --port 0 --spawn-s 1 --events 5 --concurrent-spawn-limit 64

prints a line of JSON with its `url`, `api_url` and `token`, and ends on SIGTERM. With `--report FILE` it then writes a
JSON report: `journal`, `most_pending`, `users`, `active_servers`, `answers` (the number of starts answered with each
status) and `asked` (the number of requests of each kind).
"""

import argparse
import asyncio
import contextlib
import json
import signal
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from tests.fakes.hub import FakeHub, SpawnPlan


async def _serve(options: argparse.Namespace) -> None:
    steps: list[str] = [f"Step {n + 1}" for n in range(options.events - 2)]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with FakeHub(port=options.port) as hub:
        hub.slow_spawn_timeout = options.slow_spawn_timeout
        hub.concurrent_spawn_limit = options.concurrent_spawn_limit
        hub.spawn_plan(None, SpawnPlan(messages=steps, seconds=options.spawn_s))
        address: dict[str, Any] = {"url": hub.url, "api_url": hub.api_url, "token": hub.api_token}
        print(json.dumps(address), flush=True)  # noqa: T201 - the line described above
        await stop.wait()
        if options.report is not None:
            options.report.write_text(json.dumps(_report(hub)))


def _report(hub: FakeHub) -> dict[str, Any]:
    return {
        "most_pending": hub.most_pending,
        "journal": [asdict(happening) for happening in hub.journal],
        "users": sorted(hub.users),
        "active_servers": sorted(hub.active_servers),
        "answers": Counter(str(asked.status) for asked in hub.asked("start_server")),
        "asked": Counter(str(asked.operation) for asked in hub.requests),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake JupyterHub on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--spawn-s", type=float, default=0.0, help="how long each spawn takes")
    parser.add_argument("--events", type=int, default=3, help="of a progress stream, the first and the last included")
    parser.add_argument("--slow-spawn-timeout", type=float, default=10.0, help="0: answer a start with 202 immediately")
    parser.add_argument(
        "--concurrent-spawn-limit", type=int, default=0, help="pending spawns; beyond: 429, Retry-After"
    )
    parser.add_argument("--report", type=Path, help="file for a JSON report, written at the end")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options))


if __name__ == "__main__":
    main()
