"""The policy on images and repositories, as callers and operators see it."""

import sys
from typing import Any

import pytest

from hublaunch.main import create_app
from hublaunch.settings import Settings, SettingsFault
from tests.fakes.hub import FakeHub
from tests.support.served import IMAGE, Service, serve

DIGEST = "sha256:" + "0a" * 32
STARTS_OF_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn")


@pytest.mark.parametrize(
    ("terms", "body", "code"),
    [
        ({"allowed_images": ("quay.io/jupyter/*",)}, {"image": "evil.example/quay.io/jupyter/a"}, "image_not_allowed"),
        ({"require_digest": True}, {"image": IMAGE}, "digest_required"),
        ({"allowed_repos": ("github.com/org/*",)}, {"image": IMAGE}, "repo_not_allowed"),
        (
            {"banned_repos": ("github.com/hunter2/*",)},
            {"image": IMAGE, "repo_url": "git@github.com:/Hunter2//repo.git"},
            "repo_not_allowed",
        ),
    ],
)
async def test_a_forbidden_launch_is_refused_without_side_effects_or_echo(
    settings: Settings, hub: FakeHub, terms: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    async with serve(settings.model_copy(update=terms)) as service:
        answer = await service.http.post("/launch", json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert "hunter2" not in answer.text.lower()
    assert hub.count("user_created") == 0


async def test_an_allowed_launch_is_accepted(settings: Settings) -> None:
    terms = {"allowed_images": ("python@*",), "require_digest": True, "allowed_repos": ("github.com/org/*",)}

    async with serve(settings.model_copy(update=terms)) as service:
        events = await service.events((await service.launch(image=f"docker.io/library/python@{DIGEST}"))["events_url"])

    assert events[-1]["phase"] == "ready"


async def test_cve_2023_48311_of_dockerspawner_no_image_is_launchable_until_the_operator_names_some(
    hub: FakeHub, settings: Settings
) -> None:
    as_installed = Settings(hub_url=hub.url, hub_api_token=hub.api_token, database_url=settings.database_url)

    async with serve(as_installed) as service:
        answer = await service.http.post("/launch", json={"image": IMAGE})

    assert (answer.status_code, answer.json()["code"]) == (403, "image_not_allowed")
    assert hub.count("user_created") == 0


@pytest.mark.parametrize(
    "repo_url",
    [
        "--upload-pack=touch${IFS}pwned",
        "-u@example.org:--upload-pack=reboot",
        "ssh://-oProxyCommand=reboot/org/repo",
        "ext::sh -c reboot",
        "ext::sh://example.org/org/repo",
        "file:///etc/passwd",
        "https://github.com/org/repo\n--upload-pack=reboot",
        "https://github.com/org/repo --upload-pack=reboot",
    ],
)
async def test_cve_2021_39159_of_binderhub_a_crafted_repo_url_is_refused(
    service: Service, hub: FakeHub, repo_url: str
) -> None:
    answer = await service.http.post("/launch", json={"image": IMAGE, "repo_url": repo_url})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "repo_url")
    assert hub.count("user_created") == 0


async def test_cve_2021_39159_of_binderhub_a_repo_url_is_a_label_and_no_process_is_started_for_it(
    service: Service,
) -> None:
    started: list[str] = []
    watching = True

    def watch(event: str, _: object) -> None:
        if watching and event in STARTS_OF_PROCESSES:
            started.append(event)

    sys.addaudithook(watch)
    repo_url = "https://example.org/$(reboot)/`reboot`;reboot|--upload-pack=reboot"
    events = await service.events((await service.launch(repo_url=repo_url))["events_url"])
    watching = False

    assert (events[-1]["phase"], events[-1]["repo_url"]) == ("ready", repo_url)
    assert started == []


async def test_each_invalid_pattern_is_reported_at_startup(settings: Settings) -> None:
    wrong = {
        "allowed_images": ("python", "secret word"),
        "group_allowed_images": {"gpu": ("python:[3",)},
        "allowed_repos": ("github.com",),
        "banned_repos": ("",),
    }
    app = create_app(settings.model_copy(update=wrong))

    with pytest.raises(SettingsFault) as fault:
        async with app.router.lifespan_context(app):
            pass

    assert [sentence.partition(" must ")[0] for sentence in fault.value.sentences] == [
        "LAUNCHER_ALLOWED_IMAGES: pattern 2",
        "LAUNCHER_ALLOWED_REPOS: pattern 1",
        "LAUNCHER_BANNED_REPOS: pattern 1",
        "LAUNCHER_GROUP_ALLOWED_IMAGES: gpu, pattern 1",
    ]
    assert all(sentence.endswith(".") for sentence in fault.value.sentences)
    assert "secret" not in str(fault.value)
