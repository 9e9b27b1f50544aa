"""The scopes that the service's role at the Hub needs, and warnings about wrong ones."""

import logging

import pytest

from hublaunch.hub.check import HubCheck, missing_scopes, needed_scopes, needless_scopes
from hublaunch.hub.client import HubClient
from tests.fakes.hub import FakeHub

ALL = needed_scopes(temporary_users=True, mints_tokens=True)
OWN_ACCOUNTS = needed_scopes(temporary_users=False, mints_tokens=True)


def test_launches_on_existing_accounts_need_only_servers() -> None:
    assert {"servers"} == OWN_ACCOUNTS


def test_temporary_users_need_admin_users_and_tokens_if_tokens_are_minted() -> None:
    assert {"servers", "admin:users", "tokens"} == ALL
    assert needed_scopes(temporary_users=True, mints_tokens=False) == {"servers", "admin:users"}


@pytest.mark.parametrize(
    ("had", "missing"),
    [
        ({"servers", "admin:users", "tokens"}, []),
        ({"servers", "tokens"}, ["admin:users"]),
        ({"read:servers", "start:servers", "delete:servers", "admin:users", "tokens"}, []),
        ({"read:servers", "start:servers", "admin:users", "tokens"}, ["servers"]),
        ({"servers!group=launched", "admin:users", "tokens!group=launched"}, []),
        (set(), ["admin:users", "servers", "tokens"]),
    ],
)
def test_missing_scopes_are_listed(had: set[str], missing: list[str]) -> None:
    assert missing_scopes(had, ALL) == missing


@pytest.mark.parametrize(
    ("had", "needless"),
    [
        ({"servers", "read:servers", "read:users:name"}, []),
        ({"servers", "admin:users", "read:users", "delete:users"}, ["admin:users"]),
        ({"servers", "tokens", "read:tokens", "shutdown"}, ["shutdown", "tokens"]),
        ({"servers", "admin:users!group=launched", "read:services:name!service=hublaunch"}, []),
    ],
)
def test_needless_scopes_are_listed_without_their_contents(had: set[str], needless: list[str]) -> None:
    assert needless_scopes(had, OWN_ACCOUNTS) == needless


@pytest.mark.parametrize(
    ("needed", "had", "missing", "needless", "logged"),
    [
        (ALL, ["admin:users", "servers", "tokens"], [], [], ""),
        (ALL, ["servers"], ["admin:users", "tokens"], [], "so launches will fail. Add: admin:users, tokens"),
        (OWN_ACCOUNTS, ["servers", "tokens"], [], ["tokens"], "does not need. Remove: tokens"),
    ],
)
async def test_wrong_scopes_are_logged_and_reported(
    hub: FakeHub,
    client: HubClient,
    caplog: pytest.LogCaptureFixture,
    needed: frozenset[str],
    had: list[str],
    missing: list[str],
    needless: list[str],
    logged: str,
) -> None:
    hub.scopes = had
    check = HubCheck(client, needed=needed)

    with caplog.at_level(logging.WARNING):
        await check.until_answered()

    report = check.report()
    assert (report["missing_scopes"], report["needless_scopes"]) == (missing, needless)
    assert logged in caplog.text
    assert bool(caplog.text) is bool(logged)
