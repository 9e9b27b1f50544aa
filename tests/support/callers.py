"""Every kind of caller, with the credentials that each sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hublaunch.api.callers.sessions import SESSION_COOKIE
from hublaunch.files.keys import add_key
from tests.fakes.hub import FakeHub
from tests.support.admin_links import admin_link
from tests.support.invitations import ended, invited
from tests.support.served import BODY, Service

SCOPE = "access:services!service=hublaunch"
ADA, BOB, ROOT = "ada", "bob", "root"

Credentials = Mapping[str, str]
"""Tokens and keys, by their owner."""


@dataclass(frozen=True)
class CallerWorld:
    """A service with three kinds of callers, a ready launch of Ada's, and the headers that each caller sends."""

    service: Service
    headers: Mapping[str, dict[str, str]]
    launch_id: str


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def add_callers(hub: FakeHub, keys: Path, database_url: str) -> Credentials:
    """Add users to the Hub, keys to the file and invitations to the database; return the credentials of each caller."""
    return {
        "owner": hub.token_of(ADA),
        "other user": hub.token_of(BOB),
        "admin": hub.token_of(ROOT),
        "no scope": hub.token_of(ADA, "access:servers!user=ada"),
        "the Hub's service": hub.api_token,
        "wrong token": "a-wrong-token",
        "key": add_key(keys, name="plain")[1],
        "key that may name users": add_key(keys, name="naming", may_name_user=True)[1],
        "key for other images": add_key(keys, name="narrow", allowed_images=["example.org/*"])[1],
        "admin key": add_key(keys, name="admin", is_admin=True)[1],
        "wrong key": "hl_" + "x" * 43,
        "invitation": invited(database_url),
        "ended invitation": ended(database_url),
        "wrong invitation": "hli_" + "x" * 32,
        "admin link": admin_link(database_url),
        "ended admin link": admin_link(database_url, lasts=timedelta(0)),
    }


def headers_of(credentials: Credentials, session: str, secret: str) -> Mapping[str, dict[str, str]]:
    """Return the headers that each kind of caller sends; `secret` is the secret of the launch in question."""
    cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
    return {
        "nobody": {},
        "wrong scheme": {"Authorization": "Basic YTpi"},
        "session of the owner": cookie,
        "that session, by a page elsewhere": cookie
        | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        "secret": {"X-Launch-Secret": secret},
        "wrong secret": {"X-Launch-Secret": "x" * 43},
        "wrong token, correct secret": bearer(credentials["wrong token"]) | {"X-Launch-Secret": secret},
        **{caller: bearer(credential) for caller, credential in credentials.items()},
    }


async def launch_of_ada(service: Service, credentials: Credentials) -> dict[str, str]:
    answer = await service.http.post("/launch", json=BODY, headers=bearer(credentials["owner"]))
    accepted: dict[str, str] = answer.json()
    await service.events(accepted["events_url"])
    return accepted


async def session_of_ada(service: Service, hub: FakeHub) -> str:
    """Log Ada in and return the session cookie."""
    login = await service.http.get("/oauth_login")
    told = {name: values[0] for name, values in parse_qs(urlsplit(login.headers["Location"]).query).items()}
    code = hub.confirm_login(
        ADA, scopes=[SCOPE], redirect_uri=told["redirect_uri"], code_challenge=told["code_challenge"]
    )
    await service.http.get("/oauth_callback", params={"code": code, "state": told["state"]})
    return service.http.cookies[SESSION_COOKIE]
