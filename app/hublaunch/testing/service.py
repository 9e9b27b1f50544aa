"""The fake service: hublaunch's API as an httpx transport."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import httpx

from hublaunch.testing.bell import Bell
from hublaunch.testing.catalogue import UnusableField, catalogue_json, resolved
from hublaunch.testing.launch import FakeLaunch, problem_json

_REUSED = ("environment", "size", "image", "repo_url", "ref")
"""The fields in which a launch must agree with a request to be reused for it."""
_LAUNCH_PATH = re.compile(r"/launch/([^/%]+)(/events|/extend)?")


class FakeHublaunch:
    """An in-process service for `LaunchClient(fake.url, transport=fake.transport)`, async or not.

    `play` is called with each accepted launch and decides how it goes; by default the server is ready immediately. A
    test can also act on `launches` later. `tokens` maps the tokens of callers to their names; callers without a token
    are anonymous. `environments` is the catalogue: the names of environments, each with the names of its sizes.
    """

    url = "http://hublaunch.test/"

    def __init__(
        self,
        *,
        play: Callable[[FakeLaunch], object] = FakeLaunch.ready,
        tokens: Mapping[str, str] | None = None,
        environments: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.play = play
        self.tokens = dict(tokens or {})
        self.environments = dict(environments or {})
        self.launches: list[FakeLaunch] = []
        """The accepted launches, oldest first."""
        self.requests: list[httpx.Request] = []
        """All requests that arrived."""
        self.is_down = False
        """Whether connections are refused."""
        self.answers_to_lose = 0
        """How many of the next requests are carried out, but break before the answer arrives."""
        self.transport = httpx.MockTransport(self._handle)
        self._bell = Bell()
        self._cuts = 0
        self._by_key: dict[str, FakeLaunch] = {}
        self._refusals: list[httpx.Response] = []

    def refuse(
        self,
        code: str,
        *,
        status: int,
        title: str = "",
        detail: str = "",
        advice: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        """Answer the next request with this problem. The client retries by itself if there is a `retry_after_s`."""
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        problem = problem_json(code, title=title, detail=detail, advice=advice)
        self._refusals.append(_refusal(status, problem, headers))

    def cut(self) -> None:
        """Break all open event streams. The client resumes them."""
        self._cuts += 1
        self._bell.ring()

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("The fake service is down.")
        self.requests.append(request)
        response = self._refusals.pop(0) if self._refusals else self._answer(request)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise httpx.ReadError("The fake service lost the answer.")
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme and token not in self.tokens:
            return _refusal(401, problem_json("unauthenticated", advice="Send a token that the fake knows."))
        caller = self.tokens.get(token)
        match request.method, request.url.raw_path.decode().partition("?")[0]:
            case "GET", "/session" | "/catalogue" as path:
                shown = _session(caller) if path == "/session" else catalogue_json(self.environments)
                return httpx.Response(200, json=shown)
            case "POST", "/launch":
                return self._launch(request, caller)
            case "GET", "/launch":
                return self._page(request, caller)
            case method, path if found := _LAUNCH_PATH.fullmatch(path):
                return self._one(request, f"{method} {found[2] or ''}".rstrip(), found[1], caller)
        return _refusal(404, problem_json("not_found"))

    def _launch(self, request: httpx.Request, caller: str | None) -> httpx.Response:
        try:
            body = resolved(json.loads(request.content), self.environments)
        except UnusableField as fault:
            error = {"field": fault.field, "reason": fault.reason}
            return _refusal(422, problem_json("invalid_request", detail=str(fault), errors=[error]))
        key = request.headers.get("Idempotency-Key", "")
        if (known := self._by_key.get(key)) is not None:
            return _accepted(202, known)
        if caller and body.get("if_running", "new") != "new" and (running := self._running(body, caller)):
            if body["if_running"] == "reuse":
                return _accepted(200, running)
            return _refusal(409, problem_json("already_running", launch_id=running.id))
        number = len(self.launches) + 1
        server = f"http://hub.test/user/fake-{number}/"
        launch = FakeLaunch(f"01FAKE{number:020}", body, caller=caller, server_url=server, changed=self._bell.ring)
        self.launches.append(launch)
        self._by_key[key] = launch
        response = _accepted(202, launch)
        self.play(launch)
        return response

    def _running(self, body: Mapping[str, Any], caller: str) -> FakeLaunch | None:
        """Return the caller's active launch of this environment, size, image, repository and ref."""
        wanted = caller, *(body.get(name, "") for name in _REUSED)
        active = [launch for launch in self.launches if launch.status in ("waiting", "launching", "ready")]
        same = (
            launch
            for launch in reversed(active)
            if wanted == (launch.caller, *(launch.request.get(name, "") for name in _REUSED))
        )
        return next(same, None)

    def _page(self, request: httpx.Request, caller: str | None) -> httpx.Response:
        if caller is None:
            return _refusal(401, problem_json("unauthenticated"))
        query = request.url.params
        limit, cursor = int(query.get("limit", 50)), query.get("cursor", "~")
        mine = [launch for launch in reversed(self.launches) if launch.caller == caller and launch.id < cursor]
        for name in ("image", "environment", "repo_url", "username"):
            mine = [each for each in mine if query.get(name, each.request.get(name, "")) == each.request.get(name, "")]
        mine = [launch for launch in mine if query.get("status", launch.status) == launch.status]
        following = f"?{query.set('cursor', mine[limit - 1].id)}" if len(mine) > limit else None
        return httpx.Response(
            200, json={"launches": [one.json(private=True) for one in mine[:limit]], "next": following}
        )

    def _one(self, request: httpx.Request, action: str, launch_id: str, caller: str | None) -> httpx.Response:
        launch = next((one for one in self.launches if one.id == launch_id), None)
        if launch is None:
            return _refusal(404, problem_json("launch_not_found"))
        secret = request.headers.get("X-Launch-Secret") or request.url.params.get("secret")
        private = secret == launch.secret or (caller is not None and caller == launch.caller)
        match action:
            case "GET /events":
                return self._events(request, launch, private=private)
            case "GET":
                return httpx.Response(200, json=launch.json(private=private))
            case "DELETE" | "POST /extend" if not private:
                return _refusal(403, problem_json("secret_required"))
            case "DELETE" | "POST /extend":
                return _cancelled(launch) if action == "DELETE" else _extended(request, launch)
        return _refusal(405, problem_json("method_not_allowed"))

    def _events(self, request: httpx.Request, launch: FakeLaunch, *, private: bool) -> httpx.Response:
        after = int(request.headers.get("Last-Event-ID", 0))
        if after > len(launch.events):
            after = 0
        if launch.has_ended and after == len(launch.events):
            return httpx.Response(204)
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Launch-Cursor": str(after)}
        return httpx.Response(200, headers=headers, content=self._stream(launch, after, private=private))

    async def _stream(self, launch: FakeLaunch, after: int, *, private: bool) -> AsyncGenerator[bytes]:
        """Send the stored events, then the new ones and the positions in the queue, until the end or a cut."""
        cuts, position = self._cuts, None if launch.is_queued else launch.position
        yield b"retry: 0\n"
        with self._bell.heard() as rung:
            while True:
                for event in (*launch.events_after(after, private=private), None):
                    is_later = event is None or event["phase"] != "waiting"
                    if is_later and launch.position != position:
                        position = launch.position
                        yield f"event: position\ndata: {json.dumps(position)}\n\n".encode()
                    if event is not None:
                        after = event["seq"]
                        yield f"id: {after}\ndata: {json.dumps(event)}\n\n".encode()
                if launch.has_ended and after == len(launch.events):
                    return
                await rung()
                if self._cuts != cuts:
                    raise httpx.ReadError("The fake service cut the stream.")


def _session(caller: str | None) -> dict[str, Any]:
    kind = "key" if caller else "anonymous"
    return {"kind": kind, "name": caller, "is_admin": False, "access": [kind], "images": ["*"], "invitation": None}


def _accepted(status: int, launch: FakeLaunch) -> httpx.Response:
    shown = launch.json(private=True)
    events_url = f"{shown['events_url']}?secret={launch.secret}"
    headers = {"Location": f"/launch/{launch.id}", "X-Launch-Secret": launch.secret}
    return httpx.Response(status, headers=headers, json=shown | {"events_url": events_url, "secret": launch.secret})


def _cancelled(launch: FakeLaunch) -> httpx.Response:
    launch.cancel()
    return httpx.Response(204)


def _extended(request: httpx.Request, launch: FakeLaunch) -> httpx.Response:
    seconds = json.loads(request.content)["seconds"]
    if seconds < 60:
        error = {"field": "seconds", "reason": "Input should be greater than or equal to 60"}
        return _refusal(422, problem_json("invalid_request", errors=[error]))
    if code := launch.extend(seconds, key=request.headers.get("Idempotency-Key", "")):
        return _refusal(422 if code == "idempotency_key_reused" else 409, problem_json(code))
    return httpx.Response(200, json=launch.json(private=True))


def _refusal(status: int, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> httpx.Response:
    all_headers = {**(headers or {}), "Content-Type": "application/problem+json"}
    return httpx.Response(status, headers=all_headers, json={**problem, "status": status})
