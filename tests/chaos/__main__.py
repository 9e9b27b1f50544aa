"""Run launches while everything breaks, and count the damage. Every count must be zero.

    python -m tests.chaos --seed 1 --launches 500 --database postgresql
    python -m tests.chaos --minutes 60

The run has a fake Hub with planned faults, a TCP proxy that cuts and delays connections, and one hublaunch process on
SQLite or several on one PostgreSQL. The processes are killed, frozen, stopped and restarted. The clients disconnect,
resume, repeat requests and cancel. The seed determines all of it. The exit status is 1 unless every column defined in
`tests/chaos/verdict.py` is 0, a fifth of the launches met a fault, and five processes were killed. With `--mutant
fence` the run must fail.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.plan import Scale
from tests.chaos.report import HEAD, findings, is_good, markdown, row, stories, table, total
from tests.chaos.run import Run, run
from tests.support.programs import new_database, run_to_end

_MUTANTS = {None: "hublaunch.cli", "fence": "tests.chaos.mutant"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="random if not given")
    parser.add_argument("--launches", type=int, default=Scale.launches)
    parser.add_argument("--per-s", type=float, default=Scale.per_s, help="launches started per second")
    parser.add_argument("--replicas", type=int, default=Scale.replicas, help="processes on PostgreSQL")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--minutes", type=float, help="repeat runs with random seeds for this long, one row each")
    parser.add_argument("--mutant", choices=["fence"], help="run a hublaunch without this safeguard")
    options = parser.parse_args()
    scale = Scale(launches=options.launches, per_s=options.per_s, replicas=options.replicas)
    module = _MUTANTS[options.mutant]
    if options.minutes is not None:
        return _run_many(options.minutes * 60, scale, options.database, module)
    outcome = _run(_some_seed() if options.seed is None else options.seed, scale, options.database, module)
    print(table(outcome, scale))
    return 0 if is_good(outcome, scale) else 1


def _run_many(seconds: float, scale: Scale, database: str, module: str) -> int:
    end, rows = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seed = _some_seed()
        outcome = _run(seed, scale, database, module)
        rows.append(row(seed, outcome, scale))
        print(markdown(rows[-1]), flush=True)
    print("", markdown(HEAD), markdown(["---"] * len(HEAD)), *map(markdown, [*rows, total(rows)]), sep="\n")
    return 1 if any("FAILED" in told for told in rows) else 0


def _some_seed() -> int:
    return random.randrange(1_000_000)


def _run(seed: int, scale: Scale, database: str, module: str) -> Run:
    """Run once in a directory of its own, which is kept if the run is not good."""
    print(f"seed {seed}: {scale.launches} launches on {database}", flush=True)
    directory, begin = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-")), time.monotonic()

    def tell(what: str) -> None:
        print(f"  {time.monotonic() - begin:4.0f} s: {what}", flush=True)

    keep = False
    try:
        with new_database(database, directory) as url:
            outcome = run_to_end(run(seed, scale, database_url=url, module=module, directory=directory, tell=tell))
        if keep := not is_good(outcome, scale):
            (directory / "stories.txt").write_text(stories(outcome))
            print(*findings(outcome.verdict), sep="\n")
            print(f"The stories of these launches, and the logs of the processes, are in {directory}", flush=True)
        return outcome
    finally:
        if not keep:
            shutil.rmtree(directory)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("Stopped before the end. Nothing is left running.")
