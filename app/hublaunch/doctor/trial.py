"""One real launch, as a caller makes it: accepted, ready, entered, used, stopped."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from hublaunch.client import LaunchClient, LaunchClientError, LaunchEvent, Problem, Refused
from hublaunch.client.environment import way_to
from hublaunch.doctor.finding import Finding
from hublaunch.doctor.kernel import run_in_kernel

_STEP_TIMEOUT_S = 60.0
"""How long the ready server may take to answer, its kernel to calculate, and JupyterHub to stop the server."""


class TrialFault(Exception):
    """A step failed."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


@dataclass(slots=True)
class Trial:
    """One launch of an image, or of an environment of the catalogue."""

    client: LaunchClient
    image: str
    environment: str
    launch_id: str = ""
    """`""` until it is accepted, and once it is stopped."""
    _ready: LaunchEvent | None = field(default=None, repr=False)

    async def accept(self) -> str:
        """Launch."""
        launch = await self.client.launch(self.image, environment=self.environment)
        self.launch_id = launch.id
        return f"The service at {self.client.url} accepted launch {launch.id}"

    async def follow(self) -> str:
        """Wait until the server is ready."""
        began, queued_s = time.monotonic(), 0.0
        async for event in self.client.follow(self.launch_id):
            if event.phase == "waiting":
                queued_s = 0.0  # counted up to the next event
            elif not queued_s:
                queued_s = time.monotonic() - began
            if event.problem:
                raise self._failed(event.problem)
            if event.phase == "cancelled":
                raise TrialFault("Somebody cancelled the launch", "Run this again.")
            self._ready = event
        queued = f", after {queued_s:.1f} s in the queue" if queued_s >= 1 else ""
        return f"The server is ready{queued}"

    async def enter(self) -> str:
        """Open the server as a browser does, with the token in its address."""
        ready = self._server()
        async with _session(ready.url or "") as http, http.get(ready.open_url or "") as page:
            if page.status != HTTPStatus.OK:
                advice = "Look for the reason in the server's own log, and check JupyterHub's proxy."
                raise TrialFault(f"The ready server answered with {page.status}", advice)
            if page.url.path.endswith("/login"):
                advice = "The image may have an old Jupyter server, or the server may refuse tokens in its address."
                raise TrialFault("The server does not accept its token, and asks for a login", advice)
        return "The server opens with its token"

    async def calculate(self) -> str:
        """Run 1+1 in a kernel."""
        ready = self._server()
        # a websocket has no total timeout
        async with _session(ready.url or "") as http, asyncio.timeout(_STEP_TIMEOUT_S):
            result = await run_in_kernel(http, ready.url or "", ready.token or "", "1+1")
        if result is None or result.split()[-1:] != ["2"]:
            raise TrialFault(f"1+1 gave {result!r}", "Check the image: its default kernel does not work.")
        return "1+1 = 2 in a new kernel"

    async def stop(self) -> str:
        """Stop the server, or the launch. Return once JupyterHub has confirmed that."""
        launch_id, self.launch_id = self.launch_id, ""
        began = time.monotonic()
        while not await self.client.cancel(launch_id):
            if time.monotonic() - began >= _STEP_TIMEOUT_S:
                advice = f"hublaunch keeps trying. Run `hublaunch show {launch_id}` to see what it still has to delete."
                raise TrialFault("JupyterHub has not confirmed yet that the server stopped", advice)
        return "The server is stopped" if self._is_ready else "The launch has ended, and hublaunch cleans up after it"

    @property
    def _is_ready(self) -> bool:
        return self._ready is not None and self._ready.phase == "ready"

    def _server(self) -> LaunchEvent:
        assert self._ready
        if not self._ready.token:
            advice = "Launch without a token of a Hub user, or open the server in a browser."
            raise TrialFault("The server is on the account of a Hub user, so hublaunch has no token for it", advice)
        return self._ready

    def _failed(self, problem: Problem) -> TrialFault:
        return TrialFault(
            _words(problem),
            f"{_advice(problem)} `hublaunch show {self.launch_id}` shows the whole launch.",
        )


async def examine_launch(client: LaunchClient, *, image: str, environment: str) -> AsyncGenerator[Finding]:
    """Launch, enter, calculate and stop. Yield a finding per step, with its time. Stop after the first fault.

    Whatever fails, the launch is cancelled, even if the generator's task is cancelled. Opens and closes `client`.
    """
    trial = Trial(client, image=image, environment=environment)
    async with client:
        steps = {"launch": trial.accept, "start": trial.follow, "entry": trial.enter, "kernel": trial.calculate}
        try:
            for check, step in steps.items():
                finding = await _step(check, step)
                yield finding
                if finding.state == "fault":
                    break
            if trial.launch_id:
                yield await _step("stop", trial.stop)
        finally:
            if trial.launch_id:  # interrupted
                await trial.stop()


async def _step(check: str, step: Callable[[], Awaitable[str]]) -> Finding:
    began = time.monotonic()
    try:
        message = await step()
    except TrialFault as fault:
        message, advice = str(fault), fault.advice
    except Refused as refused:
        message, advice = f"The service refused. {_words(refused.problem)}", _advice(refused.problem)
    except LaunchClientError as fault:
        message, advice = str(fault).removesuffix("."), "Check --url, and that the service runs."
    except TimeoutError:
        message, advice = "The server did not answer in time", "Look for the reason in the server's own log."
    except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        message = f"The server did not answer as a Jupyter server does: {_said(error)}"
        advice = "Check that this machine reaches JupyterHub's public address, and that the proxy passes on websockets."
    else:
        return Finding(check=check, state="ok", message=f"{message} ({time.monotonic() - began:.2f} s).")
    return Finding(check=check, state="fault", message=f"{message} ({time.monotonic() - began:.2f} s).", advice=advice)


def _words(problem: Problem) -> str:
    """Return a problem as docs/failures.md has it, with its details."""
    details = [f"{one.get('field')} {one.get('reason')}" for one in problem.errors] or [problem.detail]
    return ": ".join(filter(None, (f"{problem.title} ({problem.code})", "; ".join(details)))).removesuffix(".")


def _advice(problem: Problem) -> str:
    """Return what to do about a problem. docs/failures.md has an entry for its code."""
    given = " ".join(filter(None, (problem.advice, problem.operator_advice)))
    return f"{given} See `{problem.code}` in docs/failures.md.".strip()


def _said(error: Exception) -> str:
    """Return an error without addresses, which may contain a token."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}"
    return type(error).__name__


def _session(url: str) -> aiohttp.ClientSession:
    """Return a session for the server at `url`, with the proxy and the certificates that the environment names."""
    way = way_to(url)
    connector, timeout = aiohttp.TCPConnector(ssl=way.tls), aiohttp.ClientTimeout(total=_STEP_TIMEOUT_S)
    return aiohttp.ClientSession(connector=connector, proxy=way.proxy, timeout=timeout)
