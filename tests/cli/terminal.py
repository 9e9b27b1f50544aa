"""A real terminal, tmux, for the tests. Run as a program, this module installs tmux if it can."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.debian import Missing, install

ADVICE = "The tests of the command line need tmux; Debian has it: apt-get install tmux"
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Terminal:
    """One window of a separate tmux server."""

    socket: Path

    async def screen(self) -> list[str]:
        """Return the visible lines that are not blank."""
        shown = await self._tmux("capture-pane", "-p")
        return [line for line in shown.splitlines() if line.strip()]

    async def text(self) -> str:
        """Return everything shown, with wrapped lines joined."""
        return await self._tmux("capture-pane", "-p", "-J", "-S", "-")

    async def type(self, *keys: str) -> None:
        """Press keys, given by tmux's names."""
        await self._tmux("send-keys", *keys)

    async def resize(self, columns: int) -> None:
        await self._tmux("resize-window", "-x", str(columns))

    async def until(self, *words: str) -> str:
        """Return the text once it contains all words. Raises an AssertionError after 20 s."""
        text = ""
        for _ in range(round(20 / _LOOK_EVERY_S)):
            text = await self.text()
            if all(word in text for word in words):
                return text
            await asyncio.sleep(_LOOK_EVERY_S)  # tmux does not report changes of the screen
        raise AssertionError(f"{words} never appeared:\n{text}")

    async def _tmux(self, *arguments: str) -> str:
        return await _run(self.socket, *arguments)


@asynccontextmanager
async def terminal(
    command: Sequence[str], variables: Mapping[str, str], *, columns: int = 90
) -> AsyncGenerator[Terminal]:
    """Run the command in a terminal. Once it has ended, the terminal shows its status, such as `status 0`."""
    with TemporaryDirectory(prefix="hublaunch-tmux-") as made:  # the path of a socket has a length limit
        async with _window(Path(made), command, variables, columns=columns) as window:
            yield window


@asynccontextmanager
async def _window(
    directory: Path, command: Sequence[str], variables: Mapping[str, str], *, columns: int
) -> AsyncGenerator[Terminal]:
    socket, script = directory / "socket", directory / "run.sh"
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    quoted = " ".join(f"'{word}'" for word in command)
    script.write_text(f"trap : INT\n{exports}{quoted}\necho status $?\nexec cat\n")
    window = ["new-session", "-d", "-x", str(columns), "-y", "30", f"exec sh {script}"]
    await _run(socket, "-f", "/dev/null", *window)
    try:
        yield Terminal(socket)
    finally:
        await _run(socket, "kill-server")


async def _run(socket: Path, *arguments: str) -> str:
    tmux = shutil.which("tmux")
    assert tmux, ADVICE
    process = await asyncio.create_subprocess_exec(
        *(tmux, "-u", "-S", str(socket), *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def main() -> None:
    """Install tmux as root on Debian; elsewhere exit with advice."""
    if shutil.which("tmux") is None:
        try:
            install("tmux", advice=ADVICE)
        except Missing as fault:
            sys.exit(str(fault))
    subprocess.run(["tmux", "-V"], check=True)


if __name__ == "__main__":
    main()
