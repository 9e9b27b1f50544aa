"""Browser sessions: what a browser keeps of its login at the Hub, in cookies that only this service can open."""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from hublaunch.launch.errors import Unauthenticated

SESSION_COOKIE = "hublaunch-session"
LOGIN_COOKIE = "hublaunch-login"
LOGIN_LIFETIME_S = 600
HOST_PREFIX = "__Host-"
"""Browsers take a cookie of such a name from this host alone, over https (RFC 6265bis §4.1.3.2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A login that is under way at the Hub."""

    state: str
    """Comes back with the browser, so that it is the one that was sent (RFC 6749 §10.12)."""
    code_verifier: str
    """Shows the Hub that who redeems the code is who asked for it (RFC 7636)."""
    next: str
    """The path to go on to."""


class Sessions:
    """Puts sessions into cookies and reads them: HttpOnly, SameSite=Lax, sealed, for this service's paths alone.

    A sibling host can give a browser such a cookie as well (`Domain=`, RFC 6265 §8.6). So over https each has a second
    one beside it, `__Host-…`, with a random mark that is sealed into the first. That second one has to go to all paths
    of the host, users' servers among them, and the mark alone opens nothing. Two cookies of one name are refused.

    `seal` encrypts and authenticates; `unseal` gives None for what `seal` did not make. The session is the user's Hub
    token, so that it ends when the Hub ends the token; nothing is kept on this side.
    """

    def __init__(
        self, *, seal: Callable[[str], str], unseal: Callable[[str], str | None], path: str, secure: bool
    ) -> None:
        self._seal = seal
        self._unseal = unseal
        self._path = path
        self._secure = secure
        self._attributes: dict[str, Any] = {"secure": secure, "httponly": True, "samesite": "lax"}

    def token(self, request: Request) -> str | None:
        """The Hub token of the browser's session; None if it has none. Unauthenticated if it has two."""
        return self._read(request, SESSION_COOKIE)

    def begin(self, response: Response, token: str, *, lifetime_s: int) -> None:
        """Begin a session, which ends the login under way."""
        self._write(response, SESSION_COOKIE, token, lifetime_s)
        self._delete(response, LOGIN_COOKIE)

    def end(self, response: Response) -> None:
        """Have the browser forget its session."""
        self._delete(response, SESSION_COOKIE)

    def keep_login(self, response: Response, login: Login) -> None:
        """Have the browser keep a login until it comes back, for 10 minutes."""
        self._write(response, LOGIN_COOKIE, json.dumps(asdict(login)), LOGIN_LIFETIME_S)

    def login(self, request: Request) -> Login | None:
        """The login under way in this browser; Unauthenticated if there are two."""
        text = self._read(request, LOGIN_COOKIE)
        return None if text is None else Login(**json.loads(text))

    def _write(self, response: Response, name: str, text: str, lifetime_s: int) -> None:
        mark = None
        if self._secure:
            mark = secrets.token_urlsafe(16)
            response.set_cookie(self.host_cookie(name), mark, max_age=lifetime_s, path="/", **self._attributes)
        sealed = self._seal(f"{_head(name, mark)}{text}")
        response.set_cookie(name, sealed, max_age=lifetime_s, path=self._path, **self._attributes)

    def _read(self, request: Request, name: str) -> str | None:
        sealed = _only(request, name)
        text = self._unseal(sealed) if sealed else None
        mark = _only(request, self.host_cookie(name)) if self._secure else None
        if text is None or (self._secure and not mark) or not text.startswith(_head(name, mark)):
            return None
        return text.removeprefix(_head(name, mark))

    def _delete(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path=self._path, **self._attributes)
        if self._secure:
            response.delete_cookie(self.host_cookie(name), path="/", **self._attributes)

    def host_cookie(self, name: str) -> str:
        """The name of the cookie beside that of this name; with the path, as another service may be on this host."""
        return f"{HOST_PREFIX}{name}{quote(self._path.rstrip('/'), safe='')}"


def _head(name: str, mark: str | None) -> str:
    """What the sealed text begins with, so that one cookie passes neither for the other nor beside another's mark."""
    return f"{name}={mark}=" if mark else f"{name}="


def _only(request: Request, name: str) -> str | None:
    """The cookie of this name; None if there is none. Unauthenticated if there are two: one may be another host's."""
    pairs = [pair.partition("=") for line in request.headers.getlist("Cookie") for pair in line.split(";")]
    values = [value.strip().strip('"') for key, _, value in pairs if key.strip() == name]
    if len(values) > 1:
        raise Unauthenticated(
            "This browser sends two cookies of the same name, one of which another site has set: delete the cookies of "
            "this site and of those around it, and log in again."
        )
    return values[0] if values else None
