from datetime import UTC, datetime
from pathlib import Path

import pytest

from hublaunch.demo.errors import DemoError
from hublaunch.demo.process import HubProcess
from hublaunch.demo.settings import DemoSettings, allowed_origins, demo_settings
from hublaunch.launch.rules.guard import Failure, Guard

ORIGIN = "https://book.example.org"


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    hub = HubProcess(state=tmp_path, proxy_command=["unused"])
    settings = demo_settings(hub, origins=(), spawns=1, warm=0)
    return Guard(mode=settings.hub_guard, failure_limit=settings.hub_failure_limit)


def test_settings_for_another_hub_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAUNCHER_PROXY_URL", "https://hub.example.org/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/somebody/")
    (tmp_path / ".env").write_text("LAUNCHER_CREATE_USER=false\n")

    settings = DemoSettings(hub_url="http://127.0.0.1:8000/", hub_api_token="of-the-demo")

    assert settings.proxy_url is None
    assert settings.prefix == ""
    assert settings.create_user


@pytest.mark.parametrize(
    ("options", "variable", "origins"),
    [
        ([], "", ()),
        (["HTTP://localhost:5500"], "", ("http://localhost:5500",)),
        ([], f"{ORIGIN}, http://localhost:5500", (ORIGIN, "http://localhost:5500")),
        ([], f'["{ORIGIN}", "http://localhost:5500"]', (ORIGIN, "http://localhost:5500")),
        (
            [ORIGIN, "http://localhost:5500"],
            f"https://course.example.org,{ORIGIN}",
            (ORIGIN, "http://localhost:5500", "https://course.example.org"),
        ),
    ],
)
def test_the_origins_of_the_option_and_of_the_environment_are_allowed(
    monkeypatch: pytest.MonkeyPatch, options: list[str], variable: str, origins: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LAUNCHER_CORS_ORIGINS", variable)

    assert allowed_origins(options) == origins


@pytest.mark.parametrize(
    ("options", "variable", "said"),
    [
        ([f"{ORIGIN}/"], "", "--cors: each must be an origin"),
        ([f"{ORIGIN},https://course.example.org"], "", "--cors: each must be an origin"),
        ([ORIGIN], "*", "LAUNCHER_CORS_ORIGINS: each must be an origin"),
        ([], "[", "LAUNCHER_CORS_ORIGINS: must be a JSON list"),
    ],
)
def test_the_error_for_a_bad_origin_names_where_it_was_given(
    monkeypatch: pytest.MonkeyPatch, options: list[str], variable: str, said: str
) -> None:
    monkeypatch.setenv("LAUNCHER_CORS_ORIGINS", variable)

    with pytest.raises(DemoError, match=f"^{said}"):
        allowed_origins(options)


def test_failures_in_the_demo_pause_no_other_image(guard: Guard) -> None:
    assert guard.state(failures=1000) == "open"
    assert guard.window(failures=1000, grown=0) >= 100


def test_the_demo_refuses_an_image_that_failed_twice(guard: Guard) -> None:
    failure = Failure(image="missing", at=datetime.now(UTC), cause="no image", caller="anonymous", on_account=False)

    assert set(guard.failing([failure, failure], proven=())) == {"missing"}
