"""Run launches while everything breaks, and count the damage. Every count must be zero.

    python -m tests.chaos --seed 1 --launches 500 --database postgresql

The run has a fake Hub with planned faults, a TCP proxy that cuts and delays connections, and one hublaunch process on
SQLite or several on one PostgreSQL. The processes are killed, frozen, stopped and restarted. The clients disconnect,
resume, repeat requests and cancel. The seed determines all of it. The exit status is 1 unless every column defined in
`tests/chaos/verdict.py` is 0, a fifth of the launches met a fault, and five processes were killed. With `--mutant
fence`, and with `--warm 10 --mutant claim`, the run must fail.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import Scale
from tests.chaos.report import findings, is_good, stories, table
from tests.chaos.run import Run, run
from tests.support.programs import new_database, run_to_end

_MUTANTS = {None: "hublaunch.cli", "fence": "tests.chaos.mutant", "claim": "tests.chaos.mutant_claim"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="random if not given")
    parser.add_argument("--launches", type=int, default=Scale.launches)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--mutant", choices=["fence", "claim"], help="run a hublaunch without this safeguard")
    parser.add_argument("--warm", type=int, default=Scale.warm, help="the servers that a warm pool keeps ready")
    parser.add_argument("--per-s", type=float, default=Scale.per_s, help="the launches started per second")
    parser.add_argument("--kill-every-s", type=float, default=Scale.kill_every_s, help="the time between two kills")
    options = parser.parse_args()
    spawns = max(Scale.max_concurrent_spawns, options.warm)  # so that pools of any size are filled as fast
    scale = Scale(
        launches=options.launches,
        warm=options.warm,
        per_s=options.per_s,
        kill_every_s=options.kill_every_s,
        max_concurrent_spawns=spawns,
    )
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    outcome = _run(seed, scale, options.database, _MUTANTS[options.mutant])
    print(table(outcome, scale))
    return 0 if is_good(outcome, scale) else 1


def _run(seed: int, scale: Scale, database: str, module: str) -> Run:
    """Run once in a directory of its own, which is kept if the run is not good."""
    print(f"seed {seed}: {scale.launches} launches on {database}", flush=True)
    directory, keep = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-")), False
    try:
        with new_database(database, directory) as url:
            outcome = run_to_end(run(seed, scale, database_url=url, module=module, directory=directory))
        if keep := not is_good(outcome, scale):
            (directory / "stories.txt").write_text(stories(outcome))
            print(*findings(outcome.verdict.bad), sep="\n")
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
