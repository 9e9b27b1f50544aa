"""Logs browsers in at the Hub (`GET /oauth_login`, `GET /oauth_callback`) and out (`DELETE /session`).

The code flow of RFC 6749 with `state`, and with PKCE (RFC 7636). JupyterHub's side:
https://jupyterhub.readthedocs.io/en/stable/explanation/oauth.html
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Protocol
from urllib.parse import unquote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from hublaunch.api.callers.hub_users import HubUsers
from hublaunch.api.callers.sessions import Login, Sessions
from hublaunch.api.problems.openapi import DOCUMENTED_EVERYWHERE, documented
from hublaunch.launch.errors import InvalidRequest, Unauthenticated
from hublaunch.launch.ports import LoginToken

NEXT_MAX = 2048

router = APIRouter(tags=["login"], responses=DOCUMENTED_EVERYWHERE)


class ExchangeCode(Protocol):
    """Exchanges a code for a token at the Hub. None if the Hub refuses the code."""

    def __call__(
        self, *, client_id: str, code: str, code_verifier: str, redirect_uri: str
    ) -> Awaitable[LoginToken | None]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuth:
    """Facts about this service as an OAuth client of the Hub, and the objects that handle a login."""

    authorize_url: str
    """The Hub's page where browsers log in."""
    client_id: str
    redirect_uri: str
    """The callback URL, as registered at the Hub."""
    exchange_code: ExchangeCode
    sessions: Sessions
    hub_users: HubUsers
    home: str
    """The path that a login leads to by default. Any other path must lie below this service's prefix."""
    prefix: str


async def _oauth(request: Request) -> OAuth:
    oauth: OAuth = request.state.oauth
    return oauth


OAuthDep = Annotated[OAuth, Depends(_oauth)]


@router.get(
    "/oauth_login",
    operation_id="logIn",
    summary="Log in with JupyterHub",
    status_code=302,
    response_class=RedirectResponse,
    responses={302: {"description": "Redirects to the Hub's login page, which redirects back."}, **documented(422)},
)
async def oauth_login(
    oauth: OAuthDep,
    next_path: Annotated[
        str | None, Query(alias="next", max_length=NEXT_MAX, description="The path to open next.")
    ] = None,
) -> Response:
    """Send the browser to the Hub's login page."""
    target = _own_path(next_path, oauth.prefix) if next_path else oauth.home
    login = Login(state=secrets.token_urlsafe(16), code_verifier=secrets.token_urlsafe(48), next=target)
    query = {
        "client_id": oauth.client_id,
        "redirect_uri": oauth.redirect_uri,
        "response_type": "code",
        "state": login.state,
        "code_challenge": _challenge(login.code_verifier),
        "code_challenge_method": "S256",
    }
    answer = RedirectResponse(f"{oauth.authorize_url}?{urlencode(query)}", 302, {"Cache-Control": "no-store"})
    oauth.sessions.keep_login(answer, login)
    return answer


@router.get(
    "/oauth_callback",
    operation_id="completeLogin",
    summary="Complete a login",
    status_code=303,
    response_class=RedirectResponse,
    responses={303: {"description": "Logged in. Redirects to `next`."}, **documented(401, 403, 422, 502, 503)},
)
async def oauth_callback(
    request: Request,
    oauth: OAuthDep,
    code: Annotated[str | None, Query(max_length=NEXT_MAX)] = None,
    state: Annotated[str | None, Query(max_length=NEXT_MAX)] = None,
) -> Response:
    """Complete the login when the Hub sends the browser back. The code only works in the browser that began the login.

    Nobody can guess a code, so no rate limit counts attempts: a limit could only lock other people out.
    """
    login = oauth.sessions.login(request)
    if login is None or not secrets.compare_digest(login.state.encode(), (state or "").encode()):
        raise Unauthenticated("This browser did not start this login, or started it too long ago. Log in again.")
    if not code:
        raise Unauthenticated("JupyterHub did not confirm the login.")
    granted = await oauth.exchange_code(
        client_id=oauth.client_id, code=code, code_verifier=login.code_verifier, redirect_uri=oauth.redirect_uri
    )
    if granted is None:
        raise Unauthenticated("JupyterHub rejected the code of this login. Log in again.")
    await oauth.hub_users.caller(granted.token)
    answer = RedirectResponse(login.next, 303, {"Cache-Control": "no-store"})
    oauth.sessions.begin(answer, granted.token, lifetime_s=granted.expires_in_s)
    return answer


@router.delete(
    "/session",
    operation_id="logOut",
    summary="Log out",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The session cookie is deleted."}, **documented(403)},
)
async def delete_session(oauth: OAuthDep) -> Response:
    """Delete the browser's session here. Its session at the Hub continues."""
    answer = Response(status_code=204)
    oauth.sessions.end(answer)
    return answer


def _challenge(code_verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()


def _own_path(path: str, prefix: str) -> str:
    """Return the path if it belongs to this service; else raise InvalidRequest. Login links must not lead elsewhere.

    It may contain nothing that browsers read as another path or host: control characters, backslashes, empty and dot
    segments.
    """
    plain = unquote(path)
    if not path.startswith(f"{prefix}/") or not path.isascii() or not plain.isprintable() or "\\" in plain:
        raise InvalidRequest("next", "must be a path of this service")
    _, *segments, last = unquote(path.partition("?")[0].partition("#")[0]).split("/")
    if not {"", ".", ".."}.isdisjoint(segments) or last in (".", ".."):
        raise InvalidRequest("next", "must be a path of this service, without empty or dot segments")
    return path
