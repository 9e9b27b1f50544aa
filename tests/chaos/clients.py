"""The clients of a run. Each launches with a key, repeats requests, disconnects, resumes elsewhere, and may cancel."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.chaos.notes import Notes, Pass, Seen, event_of
from tests.chaos.plan import LaunchPlan

IMAGE = "quay.io/jupyter/base-notebook:latest"
WARM = "warm"
"""The environment that has a warm pool."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=5)
_ENDINGS = ("ready", "failed", "cancelled")
_TRANSIENT = (409, 429, 500, 502, 503, 504)
"""Statuses after which the client asks again: another replica, or this one a little later, may answer."""


class Client:
    """The client of one launch."""

    def __init__(
        self, plan: LaunchPlan, *, http: aiohttp.ClientSession, urls: Sequence[str], numbers: random.Random
    ) -> None:
        self.notes = Notes(plan)
        self._plan = plan
        self._http = http
        self._urls = urls
        self._numbers = numbers
        self._key = f"chaos-{plan.number}-{numbers.getrandbits(128):032x}"
        self._cuts = list(plan.cuts_after_bytes)
        self._body: dict[str, Any] = {"repo_url": plan.repo_url}
        self._body |= {"environment": WARM} if plan.warm else {"image": IMAGE, "extra_args": {"test_spawn": plan.spawn}}

    async def run(self) -> None:
        """Act from the first POST until the launch has ended and any planned cancellation is confirmed."""
        await asyncio.sleep(self._plan.at_s)
        await self._launch()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            for after_s in self._plan.repeats_after_s:
                group.create_task(self._repeat(after_s))
            if self._plan.misuses_key:
                group.create_task(self._misuse_key())
            if self._plan.cancels_after_s is not None:
                group.create_task(self._cancel(self._plan.cancels_after_s))

    # --- POST ---------------------------------------------------------------------------------------------------------

    async def _launch(self) -> None:
        """Repeat the POST until an answer names the launch."""
        while not self.notes.ids:
            await self._post(stream=self._plan.posts_stream)

    async def _repeat(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not await self._post(stream=False):
            pass

    async def _misuse_key(self) -> None:
        """Send another body with the key. It must be refused, whatever became of the launch."""
        body = {**self._body, "repo_url": "https://example.org/other"}
        while True:
            try:
                url = f"{self._somewhere()}/launch"
                async with self._http.post(url, json=body, headers=self._headers()) as answer:
                    if answer.status == 422:
                        return
                    if answer.status not in _TRANSIENT:
                        self._surprise(f"{answer.status} for another body with the same key")
                        return
            except (aiohttp.ClientError, TimeoutError):
                self.notes.disconnects += 1
            await self._pause()

    async def _post(self, *, stream: bool) -> bool:
        """Send the POST once. Return whether the service has named the launch."""
        url = self._somewhere()
        headers = self._headers() | {"Accept": "text/event-stream" if stream else "application/json"}
        try:
            async with self._http.post(f"{url}/launch", json=self._body, headers=headers) as answer:
                if answer.status == (200 if stream else 202):
                    self._identify(answer.headers)
                    if stream:
                        await self._read(answer, asked=0)
                    return True
                await self._is_transient(answer, "POST")
        except (aiohttp.ClientError, TimeoutError):
            self.notes.disconnects += 1
        await self._pause()
        return False

    def _headers(self) -> dict[str, str]:
        return {"Idempotency-Key": self._key}

    def _identify(self, headers: Mapping[str, str]) -> None:
        launch_id, secret = headers["Location"].rpartition("/")[2], headers["X-Launch-Secret"]
        if self.notes.secrets.setdefault(launch_id, secret) != secret:
            self._surprise("two secrets for one launch")

    # --- GET ----------------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Read stream after stream, each from where the last one broke, until a 204 says that all was delivered."""
        while True:
            cursor = max((seen.seq for read in self.notes.passes for seen in read.seen), default=0)
            headers = self.notes.shown_secret | ({"Last-Event-ID": str(cursor)} if cursor else {})
            try:
                url = f"{self._somewhere()}/launch/{self.notes.launch_id}/events"
                async with self._http.get(url, headers=headers) as answer:
                    if answer.status == 200:
                        await self._read(answer, asked=cursor)
                    elif answer.status == 204:
                        if not self.notes.ended:
                            self._surprise("204 before the last event was delivered")
                        return
                    elif not await self._is_transient(answer, "GET events"):
                        return
            except (aiohttp.ClientError, TimeoutError):
                self.notes.disconnects += 1
            await self._pause()

    async def _read(self, answer: aiohttp.ClientResponse, *, asked: int) -> None:
        """Read a stream to its end, or to the byte where the client breaks it off."""
        cursor = int(answer.headers.get("X-Launch-Cursor", "0"))
        read = Pass(asked=asked, cursor=cursor)
        self.notes.passes.append(read)
        left = self._cuts.pop(0) if self._cuts else None
        pending = b""
        async for chunk in answer.content.iter_any():
            pending += chunk if left is None else chunk[:left]
            *blocks, pending = pending.split(b"\n\n")
            for block in blocks:
                self._note(read, block)
            if left is not None:
                left -= len(chunk)
                if left <= 0:
                    self.notes.disconnects += 1
                    answer.close()
                    return

    def _note(self, read: Pass, block: bytes) -> None:
        seen = event_of(block)
        if seen is None:
            return
        read.seen.append(seen)
        if seen.phase in _ENDINGS:
            self.notes.ended = seen.phase
            if seen.phase == "ready" and self.notes.ready_at is None:
                self.notes.ready_at = asyncio.get_running_loop().time()

    # --- DELETE -------------------------------------------------------------------------------------------------------

    async def _cancel(self, after_s: float) -> None:
        """Repeat the DELETE until the service confirms the cancellation."""
        await asyncio.sleep(after_s)
        self.notes.asked_to_cancel = True
        while True:
            try:
                url = f"{self._somewhere()}/launch/{self.notes.launch_id}"
                async with self._http.delete(url, headers=self.notes.shown_secret) as answer:
                    if answer.status == 204:
                        self.notes.is_cancelled = True
                        return
                    if answer.status != 202 and not await self._is_transient(answer, "DELETE"):
                        return
            except (aiohttp.ClientError, TimeoutError):
                self.notes.disconnects += 1
            await self._pause()

    # --- all clients --------------------------------------------------------------------------------------------------

    def _somewhere(self) -> str:
        """Return the URL of any replica."""
        return self._numbers.choice(self._urls)

    async def _pause(self) -> None:
        await asyncio.sleep(self._numbers.uniform(0.1, 0.8))

    async def _is_transient(self, answer: aiohttp.ClientResponse, what: str) -> bool:
        """Return whether to ask again. Note any other answer that the API does not promise."""
        if answer.status in _TRANSIENT:
            return True
        self._surprise(f"{answer.status} to {what}: {(await answer.text())[:200]}")
        return False

    def _surprise(self, what: str) -> None:
        self.notes.surprises.append(what)


@dataclass(frozen=True)
class Final:
    """A launch as the service reports it at the end of the run."""

    status: int
    """The status of the HTTP answer."""
    launch: Mapping[str, Any]
    events: Sequence[Seen]


async def ask_final(http: aiohttp.ClientSession, url: str, notes: Notes) -> Final:
    """Return the launch and all its events as one replica reports them."""
    headers = notes.shown_secret
    async with http.get(f"{url}/launch/{notes.launch_id}", headers=headers, timeout=_TIMEOUT) as answer:
        if answer.status != 200:
            return Final(answer.status, {}, [])
        launch = await answer.json()
    async with http.get(f"{url}/launch/{notes.launch_id}/events", headers=headers, timeout=_TIMEOUT) as answer:
        text = await answer.read() if launch["ended_at"] else b""
    return Final(200, launch, [seen for block in text.split(b"\n\n") if (seen := event_of(block))])


def session() -> aiohttp.ClientSession:
    """Return a session that, like a browser, opens many connections and gives each up after five silent seconds."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_TIMEOUT, trust_env=False)
