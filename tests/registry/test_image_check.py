"""`hublaunch image check`: a registry asked by hand; and doctor's check of the credentials."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hublaunch.cli import cli
from hublaunch.doctor.configuration import examine_configuration
from hublaunch.settings import Settings
from tests.fakes.wire import WireServer
from tests.registry.asking import DIGEST, UNKNOWN_MANIFEST, answering, found, name_of, response
from tests.registry.real import write_config


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_HUB_URL", "http://hub.test/")
    monkeypatch.setenv("LAUNCHER_HUB_API_TOKEN", "t" * 32)


async def check(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["image", "check", *arguments])


async def test_an_image_that_exists_is_shown_with_its_digest() -> None:
    async with WireServer(answering(lambda *_: found())) as server:
        image = f"{name_of(server)}/org/image:1"
        shown = await check(image)

    assert shown.exit_code == 0
    assert shown.output == (
        f"found     {image}\n          The registry has the image.\n"
        f"digest    {DIGEST}\n          LAUNCHER_PREFLIGHT=auto launches it.\n"
    )


async def test_an_absent_image_is_refused() -> None:
    async with WireServer(answering(lambda *_: response(404, UNKNOWN_MANIFEST))) as server:
        shown = await check(f"{name_of(server)}/org/image:1")

    assert shown.exit_code == 1
    assert "The registry has no image of this name and tag." in shown.output
    assert "LAUNCHER_PREFLIGHT=auto refuses it." in shown.output


async def test_an_unknown_outcome_is_printed_with_its_reason_even_as_json() -> None:
    async with WireServer(answering(lambda *_: response(429))) as server:
        image = f"{name_of(server)}/org/image:1"
        shown = await check(image, "--json")

    reason = "its registry asks this service to come back later (429)"
    assert shown.exit_code == 1
    assert json.loads(shown.output) == {
        "image": image,
        "outcome": "busy",
        "digest": None,
        "message": f"It is unknown whether the image exists: {reason}.",
        "is_launched": True,
    }


async def test_a_text_that_is_not_an_image_gets_an_error_in_one_sentence() -> None:
    shown = await check("Not An Image")

    assert shown.exit_code == 1
    assert "must be an image reference" in shown.output


async def test_a_config_that_cannot_be_read_gets_an_error_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_REGISTRY_CONFIG", "/nowhere/config.json")

    shown = await check("quay.io/org/image")

    assert shown.exit_code == 1
    assert "LAUNCHER_REGISTRY_CONFIG: /nowhere/config.json cannot be read" in shown.output


def test_doctor_finds_a_config_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.json", "quay.io")
    given = settings.model_copy(update={"preflight": "auto", "registry_config": config})
    [fine] = examine_configuration(given)
    config.write_text("{")
    [fault] = examine_configuration(given)

    assert fine.state == "ok"
    assert (fault.check, fault.state) == ("registries", "fault")
