"""Node.js with the packages of `tests/npm`. As a program it installs them, as they are locked."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from app.demo.proxy import node_and_npm

PACKAGES = Path(__file__).parent / "npm"


@asynccontextmanager
async def running(script: str, *arguments: str, flags: tuple[str, ...] = ()) -> AsyncGenerator[asyncio.StreamReader]:
    """What a script of `tests/npm` says, line by line; killed on leaving if it still runs."""
    assert (PACKAGES / "node_modules").is_dir(), "`make install` brings the packages from npm"
    node, _ = node_and_npm()
    process = await asyncio.create_subprocess_exec(
        node, *flags, str(PACKAGES / script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=None
    )
    assert process.stdout
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def install() -> None:
    """Bring the packages from npm."""
    _, npm = node_and_npm()
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=PACKAGES, check=True)


if __name__ == "__main__":
    install()
