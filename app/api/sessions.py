"""Browser sessions: what a browser keeps of its login at the Hub, in cookies that only this service can open."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

SESSION_COOKIE = "hublaunch-session"
LOGIN_COOKIE = "hublaunch-login"
LOGIN_LIFETIME_S = 600


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
    """Puts sessions into cookies and reads them: HttpOnly, SameSite=Lax, for this service's paths alone.

    `seal` encrypts and authenticates; `unseal` gives None for what `seal` did not make. The session is the user's Hub
    token, so that it ends when the Hub ends the token; nothing is kept on this side.
    """

    def __init__(
        self, *, seal: Callable[[str], str], unseal: Callable[[str], str | None], path: str, secure: bool
    ) -> None:
        self._seal = seal
        self._unseal = unseal
        self._attributes: dict[str, Any] = {"path": path, "secure": secure, "httponly": True, "samesite": "lax"}

    def token(self, request: Request) -> str | None:
        """The Hub token of the browser's session; None if it has none."""
        return self._read(request, SESSION_COOKIE)

    def begin(self, response: Response, token: str, *, lifetime_s: int) -> None:
        """Begin a session, which ends the login under way."""
        self._write(response, SESSION_COOKIE, token, lifetime_s)
        response.delete_cookie(LOGIN_COOKIE, **self._attributes)

    def end(self, response: Response) -> None:
        """Have the browser forget its session."""
        response.delete_cookie(SESSION_COOKIE, **self._attributes)

    def keep_login(self, response: Response, login: Login) -> None:
        """Have the browser keep a login until it comes back, for 10 minutes."""
        self._write(response, LOGIN_COOKIE, json.dumps(asdict(login)), LOGIN_LIFETIME_S)

    def login(self, request: Request) -> Login | None:
        """The login under way in this browser."""
        text = self._read(request, LOGIN_COOKIE)
        return None if text is None else Login(**json.loads(text))

    def _write(self, response: Response, name: str, text: str, lifetime_s: int) -> None:
        """The cookie's name is sealed with it, so that one cookie never passes for the other."""
        response.set_cookie(name, self._seal(f"{name}={text}"), max_age=lifetime_s, **self._attributes)

    def _read(self, request: Request, name: str) -> str | None:
        sealed = request.cookies.get(name)
        text = None if sealed is None else self._unseal(sealed)
        if text is None or not text.startswith(f"{name}="):
            return None
        return text.removeprefix(f"{name}=")
