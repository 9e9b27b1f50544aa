"""A git server on this machine, with `git http-backend`."""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

from aiohttp import web

from tests.support.web import running

_NOBODYS = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(directory: Path, *arguments: str) -> str:
    """Run git without the configuration of this machine, and return what it prints."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **_NOBODYS},
    )
    return done.stdout.strip()


def commit(repository: Path, files: Mapping[str, str]) -> str:
    """Write and commit these files, in a new repository if the folder is missing. Return the hash of the commit."""
    if not repository.exists():
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet", "--initial-branch", "main")
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "x")
    return git(repository, "rev-parse", "HEAD")


@asynccontextmanager
async def git_server(root: Path, *, tls: SSLContext | None = None) -> AsyncGenerator[str]:
    """Serve the repositories below `root`, and yield the URL of `root`. git may fetch any commit."""

    async def answer(request: web.Request) -> web.Response:
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            **_NOBODYS,
            **_config({"safe.directory": "*", "uploadpack.allowAnySHA1InWant": "true"}),
        }
        backend = await asyncio.create_subprocess_exec(
            *("git", "http-backend"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=variables,
        )
        said, _ = await backend.communicate(await request.read())
        head, _, body = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with running(app, tls=tls) as port:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"


def _config(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that set these values of git's configuration."""
    pairs = {
        f"GIT_CONFIG_{part}_{n}": text
        for n, pair in enumerate(values.items())
        for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(len(values)), **pairs}
