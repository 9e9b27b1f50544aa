"""The pages and the files that they load, over HTTP. `tests/browser` tests how they look and work."""

import re
from pathlib import Path

import pytest

from hublaunch.api.problems.types import STATUS, codes
from hublaunch.launch.acceptance.service import LaunchService
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import BODY, Service, serve

PREFIX = "/@/space%20word/services/launcher"
WEB = Path(__file__).parents[2] / "app" / "hublaunch" / "web"
FRONTEND = "https://book.example.org"
LAUNCH_ID = "01JDB9Z3N8Q4V7R2M5X6C1T0YK"
PAGES = ("/", f"/launch/{LAUNCH_ID}/view")


@pytest.fixture
def settings_of_a_service(settings: Settings) -> Settings:
    return settings.model_copy(update={"prefix": PREFIX, "cors_origins": (FRONTEND,)})


def loaded_by(text: str) -> set[str]:
    """Return the addresses that a page or a script loads, as written there. `[href="…"]` selects an element."""
    text = re.sub(r"^//.*$|<a [^>]*>", "", text, flags=re.MULTILINE)  # comments, and links to other pages
    found = re.findall(r"""(?<!\[)(?:src|href)="([^"]+)"|from "([^"]+)"|import "([^"]+)";""", text)
    return {next(filter(None, match)) for match in found}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_loads_only_files_below_the_prefix(settings_of_a_service: Settings, page: str) -> None:
    seen, waiting = set(), {page}
    async with serve(settings_of_a_service) as service:
        origin = str(service.http.base_url.join("/")).rstrip("/")
        while waiting:
            path = waiting.pop()
            answer = await service.http.get(path)
            assert answer.status_code == 200, path
            seen.add(path)
            for name in loaded_by(answer.text):
                url = str(answer.url.join(name))
                assert url.startswith(f"{origin}{PREFIX}/"), name
                waiting |= {url.removeprefix(f"{origin}{PREFIX}")} - seen

    assert {"/static/hub-launch.js", "/static/element/run.js", "/static/page/page.css", "/static/page/icon.svg"} <= seen


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/lanch", 404, "not_found"),
        ("/launch/nope/view", 404, "launch_not_found"),
        (f"/launch/{LAUNCH_ID}", 410, "launch_gone"),
        ("/launch?status=%3Cscript%3Ealert(1)%3C/script%3E", 422, "invalid_request"),
        ("/launch", 401, "unauthenticated"),
        (f"/{'x' * 5000}", 414, "uri_too_long"),
    ],
)
async def test_browsers_get_problem_pages(settings_of_a_service: Settings, path: str, status: int, code: str) -> None:
    as_chromium = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
    async with serve(settings_of_a_service) as service:
        answer = await service.http.get(path, headers=as_chromium)
        style = await service.http.get(str(answer.url.join(f"{PREFIX}/static/page/page.css")))
        for_program = await service.http.get(path, headers={"Accept": "application/json"})
        for_anything = await service.http.get(path, headers={"Accept": "text/html;q=0, */*"})

    assert (answer.status_code, for_program.status_code) == (status, status)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self' data:; ")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)
    assert loaded_by(answer.text) == {f"{PREFIX}/static/page/page.css", f"{PREFIX}/static/page/icon.svg"}
    assert style.status_code == 200
    problem = for_program.json()
    assert problem["code"] == for_anything.json()["code"] == code
    assert f"<h1>{problem['title']}</h1>" in answer.text
    assert code in answer.text


async def test_an_unexpected_error_is_a_page_in_a_browser(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> None:
        raise RuntimeError("words for the log alone")

    async with serve(settings) as service:
        monkeypatch.setattr(LaunchService, "get", breaks)
        answer = await service.http.get(f"/launch/{LAUNCH_ID}", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
    assert "words for the log" not in answer.text


@pytest.mark.parametrize("page", [*PAGES, "/nothing"])
async def test_every_page_shows_what_the_operator_has_set(settings_of_a_service: Settings, page: str) -> None:
    shown = {
        "site_name": "Jupyter <at> Example",
        "site_logo": "https://cdn.example.org/logo.svg?a=1&b=2",
        "site_banner": "Maintenance & more",
        "site_help": "mailto:help@example.org",
        "site_terms": "https://www.example.org/terms",
    }
    async with serve(settings_of_a_service.model_copy(update=shown)) as service:
        answer = await service.http.get(page, headers={"Accept": "text/html"})

    assert ">Jupyter &lt;at&gt; Example</a>" in answer.text
    assert '<img src="https://cdn.example.org/logo.svg?a=1&amp;b=2" alt=""' in answer.text
    assert ">Maintenance &amp; more</aside>" in answer.text
    assert '<a href="mailto:help@example.org">Help</a><a href="https://www.example.org/terms">' in answer.text
    assert "; img-src 'self' data: https://cdn.example.org; " in answer.headers["Content-Security-Policy"]
    assert "hublaunch</a>" not in answer.text


async def test_a_page_without_settings_of_the_operator_has_neither_banner_nor_empty_links(service: Service) -> None:
    answer = await service.http.get("/")

    assert ">hublaunch</a>" in answer.text
    assert "<aside" not in answer.text
    assert answer.text.count("<footer><a href=") == 1


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_only_its_own_files(service: Service, page: str) -> None:
    answer = await service.http.get(page)

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style>|\sstyle=|\son\w+=", answer.text)


async def test_the_page_of_a_launch_is_the_same_for_all_and_starts_nothing(service: Service, hub: FakeHub) -> None:
    accepted = await service.launch()
    await hub.until(lambda: hub.asked("create_user"))

    own = await service.http.get(f"/launch/{accepted['id']}/view")
    other = await service.http.get(f"/launch/{LAUNCH_ID}/view")
    linked = await service.http.get("/", params={"image": BODY["image"], "repo_url": BODY["repo_url"]})

    assert own.text == other.text
    assert linked.status_code == 200
    assert len(hub.asked("create_user")) == 1
    assert (await service.http.get("/launch/none/view")).status_code == 404
    await service.events(accepted["events_url"])


async def test_an_unchanged_file_is_not_sent_again(service: Service) -> None:
    first = await service.http.get("/static/hub-launch.js")

    again = await service.http.get("/static/hub-launch.js", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (
        first.headers["Cache-Control"] == "no-cache"
    )  # revalidated each time, so that a new release shows immediately


async def test_every_origin_may_load_the_element(settings_of_a_service: Settings) -> None:
    async with serve(settings_of_a_service) as service:
        allowed = await service.http.get("/static/hub-launch.js", headers={"Origin": FRONTEND})
        other = await service.http.get("/static/hub-launch.js", headers={"Origin": "https://evil.example"})

    assert allowed.headers["Access-Control-Allow-Origin"] == FRONTEND
    assert other.headers["Access-Control-Allow-Origin"] == "*"
    assert "Origin" in allowed.headers["Vary"]
    assert "Origin" in other.headers["Vary"]


async def test_pages_of_other_origins_read_only_the_files_of_the_release(settings_of_a_service: Settings) -> None:
    other = {"Origin": "https://evil.example"}
    with_cookie = {**other, "Cookie": "hublaunch-session=abc"}
    private = ["/", "/session", "/catalogue", "/status", "/readyz", "/docs", "/openapi.json", "/static/nothing.js"]
    async with serve(settings_of_a_service) as service:
        file = await service.http.get("/static/hub-launch.js", headers=other)
        again = await service.http.get("/static/hub-launch.js", headers=with_cookie)
        answers = [await service.http.get(path, headers=other) for path in [*private, f"/launch/{LAUNCH_ID}"]]

    assert file.headers["Access-Control-Allow-Origin"] == "*"
    assert again.content == file.content
    assert not {"set-cookie", "access-control-allow-credentials"} & {*again.headers}
    assert [str(one.url) for one in answers if "Access-Control-Allow-Origin" in one.headers] == []


async def test_any_site_may_show_the_badge(service: Service) -> None:
    answer = await service.http.get("/badge.svg")

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", ["page/home.html", "pages.py", "..%2fmain.py", "%2e%2e", "nothing.js"])
async def test_only_files_that_pages_load_are_served(service: Service, name: str) -> None:
    answer = await service.http.get(f"/static/{name}")

    assert answer.status_code == 404


@pytest.mark.parametrize("page", ["home.html", "view.html"])
def test_pages_name_no_other_origin(page: str) -> None:
    text = (WEB / "page" / page).read_text()

    assert set(re.findall(r'"(https?://[^"]+)"', text)) <= {"https://github.com/org/repo"}  # a placeholder


def test_the_types_list_exactly_the_changeable_texts() -> None:
    """Every text has a line in the types, and the types have no others."""
    words = re.search(r"TEXTS = Object.freeze\(\{(.*?)\}\);", (WEB / "element" / "texts.js").read_text(), re.DOTALL)
    types = re.search(r"interface LaunchTexts \{(.*?)\n\}", (WEB / "hub-launch.d.ts").read_text(), re.DOTALL)
    assert words
    assert types

    assert re.findall(r"^  (\w+):", words[1], re.MULTILINE) == re.findall(r"^  (\w+): string;", types[1], re.MULTILINE)


def test_every_lasting_cause_is_a_code_of_the_service() -> None:
    lasting = re.search(r"LASTING = new Set\(\[(.*?)\]\);", (WEB / "element" / "state.js").read_text(), re.DOTALL)
    assert lasting

    assert set(re.findall(r'"(\w+)"', lasting[1])) <= codes()


def test_every_cause_that_only_operators_can_change_is_lasting() -> None:
    lasting = (WEB / "element" / "state.js").read_text()
    of_operators = {kind.code for kind in STATUS if "only they can fix this" in str(kind.advice)}

    assert of_operators
    assert {code for code in of_operators if f'"{code}"' not in lasting} == set()
