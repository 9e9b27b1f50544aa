"""LaunchClient without async, for scripts, notebooks, and frameworks such as Flask and Django.

with LaunchClient("https://hub.example.org/services/hublaunch/") as client:
    launch = client.launch("quay.io/jupyter/base-notebook:latest", repo_url="https://github.com/org/repo")
    for event in client.follow(launch.id):
        print(event.phase, event.progress, event.message)
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from hublaunch import client
from hublaunch.client.launch_client import SILENCE_S
from hublaunch.client.loop_thread import LoopThread
from hublaunch.client.model import Catalogue, Launch, LaunchEvent, Position, Session

T = TypeVar("T")


class LaunchClient:
    """The synchronous twin of `hublaunch.client.LaunchClient`, with the same parameters, results and errors.

    It runs the async client in a thread of its own, so it also works where an event loop already runs, as in a
    notebook. Several threads may share it. Processes may not: create it after a fork. Ctrl-C ends the current call.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        launch_secrets: Mapping[str, str] | None = None,
        patience_s: float = 60.0,
        silence_s: float = SILENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raise a ValueError as `hublaunch.client.LaunchClient` does. `transport` is used in the client's thread."""
        self._client = client.LaunchClient(
            url,
            token=token,
            launch_secrets=launch_secrets,
            patience_s=patience_s,
            silence_s=silence_s,
            transport=transport,
        )
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            try:
                self._run(self._client.__aexit__(kind, error, trace))
            finally:
                self._thread.close()

    @property
    def url(self) -> str:
        """The address of the service, ending in `/`."""
        return self._client.url

    def launch(
        self,
        image: str = "",
        *,
        environment: str = "",
        size: str = "",
        repo_url: str = "",
        ref: str = "",
        path: str = "",
        extra_args: Mapping[str, Any] | None = None,
        username: str = "",
        server_name: str = "",
        if_running: Literal["reuse", "new", "refuse"] = "new",
        idempotency_key: str | None = None,
    ) -> Launch:
        """Request a server, and return the launch with its `secret` once the service has accepted it."""
        return self._run(
            self._client.launch(
                image,
                environment=environment,
                size=size,
                repo_url=repo_url,
                ref=ref,
                path=path,
                extra_args=extra_args,
                username=username,
                server_name=server_name,
                if_running=if_running,
                idempotency_key=idempotency_key,
            )
        )

    def follow(
        self, launch_id: str, *, after: int = 0, on_position: Callable[[Position], object] | None = None
    ) -> Generator[LaunchEvent]:
        """Yield the launch's events above the number `after`, up to the last one.

        `on_position` is called in the thread that iterates. Leaving the loop does not cancel the launch.
        """
        for update in self._iterated(self._client.updates(launch_id, after=after)):
            if isinstance(update, LaunchEvent):
                yield update
            elif on_position is not None:
                on_position(update)

    def get(self, launch_id: str) -> Launch:
        """Return the current state of a launch."""
        return self._run(self._client.get(launch_id))

    def cancel(self, launch_id: str) -> bool:
        """Cancel a launch, or stop its server. Return whether the Hub confirmed that within `patience_s`."""
        return self._run(self._client.cancel(launch_id))

    def extend(self, launch_id: str, seconds: int, *, idempotency_key: str | None = None) -> Launch:
        """Let the server of a ready launch run this much longer; `seconds` is at least 60. Return the launch."""
        return self._run(self._client.extend(launch_id, seconds, idempotency_key=idempotency_key))

    def launches(self, **filters: str) -> Generator[Launch]:
        """Yield the caller's launches, newest first, filtered as `hublaunch.client.LaunchClient.launches` does."""
        yield from self._iterated(self._client.launches(**filters))

    def session(self) -> Session:
        """Return who this caller is to the service."""
        return self._run(self._client.session())

    def catalogue(self, *, language: str = "") -> Catalogue:
        """Return the environments and images that this caller may launch, with texts in the `language` if possible."""
        return self._run(self._client.catalogue(language=language))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            coroutine.close()
            raise RuntimeError("Enter the client first: with LaunchClient(…) as client:")
        return self._thread.run(coroutine)

    def _iterated(self, source: AsyncGenerator[T]) -> Generator[T]:
        """Yield what `source` yields, and close it when the caller leaves the loop."""

        async def next_one() -> tuple[T] | None:
            async for one in source:
                return (one,)
            return None

        async def close() -> None:
            await source.aclose()

        try:
            while (found := self._run(next_one())) is not None:
                yield found[0]
        finally:
            if self._thread is not None and not self._thread.is_closed:
                self._run(close())
