"""Security headers, and writes from other origins."""

import json
from collections.abc import AsyncGenerator

import pytest

from hublaunch.api.health import Health
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import BODY, Service, serve

FRONTEND = "https://book.example.org"
FILES = ("start.js", "swagger-ui-bundle.js", "swagger-ui.css")
PROTECTING = (
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
)


@pytest.fixture
async def open_to_a_frontend(settings: Settings) -> AsyncGenerator[Service]:
    async with serve(settings, cors_origins=(FRONTEND,)) as service:
        yield service


ALLOWED: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site", "Origin": FRONTEND},
    {"Sec-Fetch-Site": "same-site", "Origin": FRONTEND},
    {"Origin": FRONTEND},
    {"Origin": "http://{host}"},
    {"Host": "localhost", "Origin": "http://localhost:8080"},
    {"Host": "localhost", "Origin": "https://localhost"},
    {"Host": "localhost:443", "Origin": "https://localhost"},
    {"Host": "localhost:80", "Origin": "http://localhost"},
    {"Host": "LOCALHOST:8080", "Origin": "http://localhost:8080"},
    {"Host": "[::1]:8080", "Origin": "http://[::1]:8080"},
    {"Host": "localhost", "Origin": "https://localhost", "X-Forwarded-Proto": "https"},
]
REFUSED: list[dict[str, str]] = [
    {"Host": "localhost", "Origin": "http://localhost", "X-Forwarded-Proto": "https"},
    {"Host": "localhost:443", "Origin": "http://localhost"},
    {"Host": "localhost:8080", "Origin": "http://localhost:8081"},
    {"Host": "localhost:8080", "Origin": "http://localhost"},
    {"Host": "localhost", "Origin": "ftp://localhost"},
    {"Host": "localhost", "Origin": "http://localhost:x"},
    {"Host": "localhost:x", "Origin": "http://localhost"},
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
    {"Origin": "http://[evil"},
    {"Origin": "http://[evil]"},
    {"Origin": "http://{host}@evil.example.org"},
    {"Origin": ""},
    {"Origin": "https://book.example.org.evil.org"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    {"Sec-Fetch-Site": "anything", "Origin": "null"},
]


async def test_a_write_from_another_origin_needs_an_allowed_origin(
    open_to_a_frontend: Service, hub: FakeHub, subtests: pytest.Subtests
) -> None:
    http = open_to_a_frontend.http
    for headers in (*REFUSED, *ALLOWED):
        sent = {name: value.format(host=http.base_url.netloc.decode()) for name, value in headers.items()}
        with subtests.test(headers=headers):
            answer = await http.post("/launch", json=BODY, headers=sent)

            assert answer.status_code == (403 if headers in REFUSED else 202)
            if headers in REFUSED:
                assert answer.json()["code"] == "foreign_origin"
                assert hub.count("user_created") == 0


async def test_cancelling_from_another_origin_is_refused(service: Service) -> None:
    accepted = await service.launch()
    headers = {"X-Launch-Secret": accepted["secret"], "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    answer = await service.http.delete(f"/launch/{accepted['id']}", headers=headers)

    assert answer.status_code == 403
    await service.cancel(accepted)


PATHS: list[str] = ["/healthz", "/readyz", "/launch/none", "/launch/none/events", "/docs", "/nothing"]


async def test_every_answer_has_the_security_headers(service: Service, subtests: pytest.Subtests) -> None:
    for path in PATHS:
        with subtests.test(path=path):
            answer = await service.http.get(path)

            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; ")
            assert policy.endswith("frame-ancestors 'none'")
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Strict-Transport-Security" not in answer.headers


async def test_an_unexpected_error_has_the_security_headers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError

    ordinary = await service.http.get("/healthz")
    monkeypatch.setattr(Health, "report", break_down)
    broken = await service.http.get("/readyz")

    assert broken.status_code == 500
    for name in PROTECTING:
        assert broken.headers[name] == ordinary.headers[name]


async def test_an_impossible_id_needs_no_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(LaunchService, "get", lambda _, launch_id: asked.append(launch_id))

    for launch_id in ("x", "01JDB9Z3N8Q4V7R2M5X6C1T0Y", "81JDB9Z3N8Q4V7R2M5X6C1T0YK", "%00" * 26):
        for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
            answer = await service.http.request(method, f"/launch/{launch_id}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "launch_not_found")

    assert asked == []


async def test_the_setting_lists_the_sites_that_may_frame_pages(settings: Settings) -> None:
    async with serve(settings, frame_ancestors=("self", FRONTEND)) as service:
        policy = (await service.http.get("/docs")).headers["Content-Security-Policy"]

    assert policy.endswith(f"; frame-ancestors 'self' {FRONTEND}")


async def test_scripts_and_styles_have_their_types(service: Service) -> None:
    types = [(await service.http.get(f"/docs/{name}")).headers["Content-Type"].partition(";")[0] for name in FILES]

    assert types == ["text/javascript", "text/javascript", "text/css"]


async def test_the_docs_page_loads_only_its_own_files_and_has_no_inline_script(settings: Settings) -> None:
    async with serve(settings, prefix="/services/launcher") as service:
        page = (await service.http.get("/docs")).text
        loaded = [await service.http.get(f"/{path}") for path in _loaded(page)]

    assert "://" not in page
    assert len(loaded) == 3
    assert all(answer.status_code == 200 for answer in loaded)
    assert "<script>" not in page


def _loaded(page: str) -> list[str]:
    pieces = [piece.partition('"')[0] for mark in ('src="', 'href="') for piece in page.split(mark)[1:]]
    return [piece for piece in pieces if piece.startswith("docs/")]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/launch/" + "x" * 5000, {}, 414),
        ("/launch/x?secret=" + "x" * 5000, {}, 414),
        ("/launch/x", {"X-Launch-Secret": "x" * 17_000}, 431),
        ("/launch/x", {"Cookie": "a=" + "x" * 17_000}, 431),
    ],
)
async def test_oversized_addresses_and_headers_are_refused(
    service: Service, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await service.http.get(path, headers=headers)

    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert "xxx" not in json.dumps(answer.json())


@pytest.mark.parametrize("path", ["/docs/", "/launch/", "/healthz/"])
async def test_no_path_redirects_to_an_absolute_address(service: Service, path: str) -> None:
    answer = await service.http.get(path)

    assert answer.status_code == 404
    assert "Location" not in answer.headers
