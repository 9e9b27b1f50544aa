"""Browser sessions, in cookies that only this service can open."""

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
"""Browsers accept a cookie with this prefix only from this host itself, over https (RFC 6265bis §4.1.3.2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A login in progress at the Hub."""

    state: str
    """Comes back with the browser, and shows that this browser began the login (RFC 6749 §10.12)."""
    code_verifier: str
    """Shows the Hub that the code is redeemed by the client that asked for it (RFC 7636)."""
    next: str
    """The path to open after the login."""


class Sessions:
    """Writes and reads session cookies: sealed, HttpOnly, SameSite=Lax, and only for this service's paths.

    A sibling host can also set a cookie of the same name (`Domain=`, RFC 6265 §8.6). So over https each cookie comes
    with a second cookie, `__Host-…`, whose random mark is sealed into the first. The second cookie is sent to all paths
    of the host, users' servers included, but the mark alone opens nothing. Two cookies of the same name are refused.

    The session holds the user's Hub token, so it ends when the token does. The service stores nothing.
    """

    def __init__(
        self, *, seal: Callable[[str], str], unseal: Callable[[str], str | None], path: str, secure: bool
    ) -> None:
        """`seal` encrypts and authenticates; `unseal` returns None for text that `seal` did not make."""
        self._seal = seal
        self._unseal = unseal
        self._path = path
        self._secure = secure
        self._attributes: dict[str, Any] = {"secure": secure, "httponly": True, "samesite": "lax"}

    def token(self, request: Request) -> str | None:
        """Return the Hub token of the session, None without a session. Raises Unauthenticated if there are two."""
        return self._read(request, SESSION_COOKIE)

    def begin(self, response: Response, token: str, *, lifetime_s: int) -> None:
        """Begin a session and end the login in progress."""
        self._write(response, SESSION_COOKIE, token, lifetime_s)
        self._delete(response, LOGIN_COOKIE)

    def end(self, response: Response) -> None:
        """Delete the browser's session."""
        self._delete(response, SESSION_COOKIE)

    def keep_login(self, response: Response, login: Login) -> None:
        """Keep a login in the browser until it comes back, for 10 minutes."""
        self._write(response, LOGIN_COOKIE, json.dumps(asdict(login)), LOGIN_LIFETIME_S)

    def login(self, request: Request) -> Login | None:
        """Return the login in progress in this browser, if any. Raises Unauthenticated if there are two."""
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
        """Return the name of the second cookie. It contains the path, as other services may run on this host."""
        return f"{HOST_PREFIX}{name}{quote(self._path.rstrip('/'), safe='')}"


def _head(name: str, mark: str | None) -> str:
    """Return the start of the sealed text, which binds a cookie to its name and to its mark."""
    return f"{name}={mark}=" if mark else f"{name}="


def _only(request: Request, name: str) -> str | None:
    """Return the cookie of this name, if any. Raises Unauthenticated if there are two: another host may set one."""
    pairs = [pair.partition("=") for line in request.headers.getlist("Cookie") for pair in line.split(";")]
    values = [value.strip().strip('"') for key, _, value in pairs if key.strip() == name]
    if len(values) > 1:
        raise Unauthenticated(
            "This browser sent two cookies with the same name, and another site may have set one of them. Delete the "
            "cookies of this site and of other sites of its domain, and log in again."
        )
    return values[0] if values else None
