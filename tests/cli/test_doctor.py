"""`hublaunch doctor`: each fault is found, and reported with advice."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hublaunch.doctor import addresses
from hublaunch.doctor.configuration import examine_configuration
from hublaunch.doctor.finding import ahead_s, clock
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from hublaunch.store.sqlite import SqliteDatabase
from hublaunch.store.tables import spawn_failures
from tests.cli.commands import CommandLine, ended, in_thread
from tests.fakes.hub import FakeHub
from tests.fakes.wire import WireServer, dripping
from tests.support.postgres import Postgres
from tests.support.served import serve
from tests.support.web import running

Findings = Mapping[str, Mapping[str, str]]
"""Findings by the subject of their check."""


class Doctor:
    """`hublaunch doctor` beside a Hub."""

    def __init__(self, hub: FakeHub, tmp_path: Path) -> None:
        self.variables = {
            "LAUNCHER_HUB_URL": hub.url,
            "LAUNCHER_HUB_API_TOKEN": hub.api_token,
            "LAUNCHER_ALLOWED_IMAGES": "quay.io/jupyter/*",
            "LAUNCHER_DATABASE_URL": f"sqlite:///{tmp_path}/hublaunch.sqlite",
        }

    async def __call__(self, port: int = 1, /, **changes: str) -> tuple[int, Findings]:
        """Return the exit status and the findings, with the variables changed."""
        given = self.variables | changes
        done = await in_thread("doctor", "--json", "--port", str(port), **given)
        assert given["LAUNCHER_HUB_API_TOKEN"] not in done.out + done.err
        return done.status, {finding["check"]: finding for finding in done.objects()}


@pytest.fixture
def doctor(hub: FakeHub, tmp_path: Path) -> Doctor:
    return Doctor(hub, tmp_path)


async def test_all_is_well(doctor: Doctor, hub: FakeHub, tmp_path: Path) -> None:
    status, findings = await doctor()

    assert status == 0
    assert {check: finding["state"] for check, finding in findings.items()} == {
        "settings": "ok",
        "Hub": "ok",
        "Hub's clock": "ok",
        "token": "ok",
        "scopes": "ok",
        "slow_spawn_timeout": "unknown",
        "image": "unknown",
        "failure limit": "unknown",
        "token in URL": "unknown",
        "database": "ok",
        "disk": "ok",
        "proxies": "unknown",  # the service does not run
    }
    assert hub.version in findings["Hub"]["message"]
    assert "do not exist yet" in findings["database"]["message"]
    assert not (tmp_path / "hublaunch.sqlite").exists()
    assert [request.method for request in hub.requests] == ["GET"] * 4


async def test_findings_are_lines_with_advice(doctor: Doctor, tmp_path: Path) -> None:
    operator = CommandLine("", tmp_path / "state")

    done = await ended(await operator.begin("doctor", **doctor.variables | {"LAUNCHER_ALLOWED_IMAGES": ""}))

    assert done.status == 1
    assert done.out.startswith("fault    settings: LAUNCHER_ALLOWED_IMAGES is empty")
    assert "→ Set it to the images that may be launched" in done.out.splitlines()[1]


async def test_a_proxy_that_the_settings_do_not_name_is_found_while_it_forwards_callers(
    doctor: Doctor, settings: Settings
) -> None:
    async with serve(settings) as service:
        port = service.http.base_url.port
        assert port
        _, before = await doctor(port)
        await service.http.get("/session", headers={"X-Forwarded-For": "198.51.100.1", "Authorization": "Bearer hl_x"})
        status, after = await doctor(port)

    assert (before["proxies"]["state"], after["proxies"]["state"], status) == ("ok", "warning", 0)
    assert "127.0.0.1 forwards requests" in after["proxies"]["message"]
    assert "LAUNCHER_TRUSTED_PROXIES" in after["proxies"]["message"]


async def test_missing_settings_are_named() -> None:
    done = await in_thread("doctor")

    assert done.status == 1
    assert "LAUNCHER_HUB_URL" in done.out
    assert "LAUNCHER_HUB_API_TOKEN" in done.out


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"LAUNCHER_HUB_API_TOKEN": "a-wrong-token"}, "token", "api_token that the Hub has"),
        ({"LAUNCHER_ACCESS": "key"}, "settings", "docs/settings.md"),
        ({"LAUNCHER_DATABASE_URL": "sqlite:////nowhere/x.sqlite"}, "database", "LAUNCHER_DATABASE_URL"),
        ({"LAUNCHER_DATABASE_URL": "mysql://u:hunter2@h/d"}, "database", "LAUNCHER_DATABASE_URL"),
        ({"LAUNCHER_HUB_CA_FILE": __file__}, "Hub", "TLS files"),
        ({"LAUNCHER_MIN_FREE_SPACE": "999999999"}, "disk", "Free space on the volume"),
    ],
)
async def test_a_fault_is_found_and_has_advice(doctor: Doctor, changes: dict[str, str], check: str, words: str) -> None:
    status, findings = await doctor(**changes)

    assert status == 1
    assert findings[check]["state"] == "fault"
    assert words in findings[check]["advice"]
    assert "hunter2" not in str(findings)
    assert "database" in findings, "the other checks run all the same"


async def test_a_server_that_is_not_jupyterhub_or_does_not_answer_is_a_fault(doctor: Doctor, hub: FakeHub) -> None:
    hub.fail_on("get_version", status=200, body="html")
    wrong = await doctor()
    await hub.kill()
    silent = await doctor()

    assert (wrong[0], wrong[1]["Hub"]["state"], silent[0], silent[1]["Hub"]["state"]) == (1, "fault", 1, "fault")
    assert "not JupyterHub" in wrong[1]["Hub"]["message"]
    assert "LAUNCHER_HUB_URL_LOCAL" in silent[1]["Hub"]["advice"]


async def test_missing_scopes_are_a_fault_and_unneeded_ones_a_warning(doctor: Doctor, hub: FakeHub) -> None:
    hub.scopes = ["servers", "admin:users"]
    lacking = await doctor()
    hub.scopes = ["servers", "admin:users", "tokens", "admin:groups"]
    having_more = await doctor()

    assert (lacking[0], lacking[1]["scopes"]["state"]) == (1, "fault")
    assert "tokens" in lacking[1]["scopes"]["message"]
    assert (having_more[0], having_more[1]["scopes"]["state"]) == (0, "warning")
    assert "admin:groups" in having_more[1]["scopes"]["message"]


@pytest.mark.parametrize(
    ("content", "check", "state"),
    [
        ("callers: []", "settings", "ok"),
        ("callers: 5", "limits", "fault"),
        ("{", "limits", "fault"),
        (None, "limits", "fault"),
    ],
)
def test_a_limits_file_that_serve_would_refuse_is_a_fault(
    settings: Settings, tmp_path: Path, content: str | None, check: str, state: str
) -> None:
    file = tmp_path / "limits.yaml"
    if content is not None:
        file.write_text(content)

    [finding] = examine_configuration(settings.model_copy(update={"limits_file": file}))

    assert (finding.check, finding.state) == (check, state)


def test_keys_with_images_need_no_setting_and_broken_keys_are_a_fault(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, name="course", allowed_images=["quay.io/org/*"])
    given = settings.model_copy(update={"access": ("key",), "api_keys_file": keys, "allowed_images": ()})
    [with_keys] = examine_configuration(given)
    keys.write_text("no keys")
    without = list(examine_configuration(given))

    assert (with_keys.check, with_keys.state) == ("settings", "ok")
    assert [(each.check, each.state) for each in without] == [("API keys", "fault"), ("settings", "fault")]


def test_a_catalogue_needs_no_allowed_images_and_a_broken_one_is_a_fault(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text("environments: {course: {title: Course, image: quay.io/org/course}}")
    given = settings.model_copy(update={"catalogue_file": file, "allowed_images": ()})
    [with_catalogue] = examine_configuration(given)
    file.write_text("environments: 5")
    [broken] = examine_configuration(given)

    assert (with_catalogue.check, with_catalogue.state) == ("settings", "ok")
    assert (broken.check, broken.state) == ("catalogue", "fault")


async def test_a_misspelled_setting_is_a_fault_and_an_unknown_one_a_warning(doctor: Doctor) -> None:
    slip = await in_thread("doctor", **doctor.variables, LAUNCHER_TRUSTED_PROXY="10.0.0.1")
    stranger = await in_thread("doctor", **doctor.variables, LAUNCHER_COLOUR="blue")

    assert (slip.status, stranger.status) == (1, 0)
    assert "Did you mean LAUNCHER_TRUSTED_PROXIES?" in slip.out
    assert "warning  settings: These variables are not settings and have no effect: LAUNCHER_COLOUR." in stranger.out


async def test_addresses_at_another_web_server_are_a_fault_and_unreachable_ones_a_warning(
    doctor: Doctor, hub: FakeHub
) -> None:
    async with other_web_server() as url:
        there = {"LAUNCHER_HUB_URL": f"{url}/page/", "LAUNCHER_PROXY_URL": f"{url}/moved/"}
        elsewhere = await doctor(LAUNCHER_HUB_URL_LOCAL=hub.url, **there)
    there = {"LAUNCHER_HUB_URL": url, "LAUNCHER_PROXY_URL": hub.url.replace("127.0.0.1", "localhost")}
    away = await doctor(LAUNCHER_HUB_URL_LOCAL=hub.url, **there)

    assert elsewhere[0] == 1
    assert [elsewhere[1][check]["state"] for check in ("Hub", "Hub URL", "proxy URL")] == ["ok", "fault", "fault"]
    assert "answers 200, which is not JupyterHub's answer" in elsewhere[1]["Hub URL"]["message"]
    assert "redirects to https://hub.example.org/" in elsewhere[1]["proxy URL"]["message"]
    assert "secret" not in elsewhere[1]["proxy URL"]["message"]
    assert (away[0], away[1]["Hub URL"]["state"], away[1]["proxy URL"]["state"]) == (0, "warning", "ok")


async def test_an_address_whose_answer_never_ends_is_a_warning(
    doctor: Doctor, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_TIMEOUTS", {"connect": 0.1, "write": 0.1, "read": 0.1})

    async with WireServer(dripping(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        status, findings = await doctor(LAUNCHER_HUB_URL_LOCAL=hub.url, LAUNCHER_HUB_URL=f"{server.url}/")

    assert (status, findings["Hub URL"]["state"]) == (0, "warning")


@asynccontextmanager
async def other_web_server() -> AsyncGenerator[str]:
    """Answers with a page, or below /moved/ with a redirect; it must not be sent the Hub's token."""

    async def answer(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        if request.path.startswith("/moved/"):
            return web.Response(status=308, headers={"Location": "https://hub.example.org/?secret"})
        return web.Response(text="<h1>It works!</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with running(app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("allowed", "admins", "state"),
    [(True, "ada", "ok"), (False, "ada", "fault"), (False, "nobody,ada", "fault"), (True, "", "unknown")],
)
async def test_named_servers_that_the_hub_does_not_allow_are_a_fault(
    doctor: Doctor, hub: FakeHub, allowed: bool, admins: str, state: str
) -> None:
    hub.allow_named_servers = allowed
    hub.create_user("ada")

    status, findings = await doctor(LAUNCHER_ALLOW_NAMED_SERVERS="true", LAUNCHER_ADMINS=admins)

    assert status == (state == "fault")
    assert findings["named servers"]["state"] == state
    assert "allow_named_servers" in findings["named servers"]["advice"] or state == "ok"


@pytest.mark.parametrize(
    ("date", "state", "words"),
    [
        ("Thu, 26 Nov 2026 12:00:03 GMT", "ok", "agrees"),
        ("Thu, 26 Nov 2026 11:59:00 GMT", "warning", "60 s behind"),
        ("Thu, 26 Nov 2026 13:00:00 GMT", "warning", "3600 s ahead of"),
        ("yesterday", "unknown", "unknown"),
        (None, "unknown", "unknown"),
    ],
)
def test_a_wrong_clock_is_a_warning(date: str | None, state: str, words: str) -> None:
    ahead = ahead_s(date, datetime(2026, 11, 26, 12, tzinfo=UTC))

    finding = clock("Hub's clock", ahead)

    assert finding.state == state
    assert words in finding.message


def _break(path: Path) -> None:
    path.write_text("this is not a database, and never was one")


def _from_the_future(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("make", "words"), [(_break, "not a database"), (_from_the_future, "version 9999")])
async def test_an_unusable_database_is_a_fault(
    doctor: Doctor, tmp_path: Path, make: Callable[[Path], Any], words: str
) -> None:
    make(tmp_path / "hublaunch.sqlite")

    status, findings = await doctor()

    assert (status, findings["database"]["state"]) == (1, "fault")
    assert words in findings["database"]["message"]


async def test_a_postgresql_database_is_checked_with_its_clock(doctor: Doctor, postgres: Postgres) -> None:
    url = postgres.database(migrated=False)

    status, findings = await doctor(LAUNCHER_DATABASE_URL=url)
    away = await doctor(LAUNCHER_DATABASE_URL=url.replace("/test_", "/nowhere_"))

    assert (status, findings["database"]["state"], findings["database's clock"]["state"]) == (0, "ok", "ok")
    assert "do not exist yet" in findings["database"]["message"]
    assert (away[0], away[1]["database"]["state"]) == (1, "fault")


@pytest.mark.parametrize(
    ("failures", "state", "words"),
    [
        (0, "ok", "Normal: launches are admitted."),
        (3, "warning", "Normal: only proven images"),
        (4, "fault", "Normal: nothing is launched until JupyterHub is restarted"),
    ],
)
async def test_a_guard_that_holds_launches_back_is_found_in_a_database_in_use(
    doctor: Doctor, tmp_path: Path, failures: int, state: str, words: str
) -> None:
    database = SqliteDatabase(tmp_path / "hublaunch.sqlite", readers=1)
    database.open()
    with database.writing.begin() as connection:
        for number in range(failures):
            failure = {"launch_id": str(number), "image": "a/b", "at": datetime.now(UTC)}
            connection.execute(spawn_failures.insert(), failure)

    _, findings = await doctor()

    database.close()
    assert (findings["database"]["state"], findings["Hub guard"]["state"]) == ("ok", state)
    assert ("consecutiveFailureLimit" in findings["Hub guard"]["advice"]) is (failures > 0)
    assert findings["Hub guard"]["message"].startswith(words)
