"""The audit log, checked against its schema."""

import json
import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker
from jupyter_events import EventLogger

from hublaunch.files.keys import read_keys
from hublaunch.observe import audit
from hublaunch.observe.audit import SCHEMA, AuditLog, operator
from hublaunch.settings import Settings, SettingsFault
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.catalogue import catalogue_in
from tests.support.processes import events, launch, replica, started
from tests.support.served import BODY, Service, serve

SCHEMA_FILE = Path(audit.__file__).with_name("audit-1.json")
_META = {"__timestamp__", "__schema__", "__schema_version__", "__metadata_version__"}


def read(path: Path) -> list[dict[str, Any]]:
    """Return the events of an audit log, each valid for its schema and for jupyter-events."""
    schema = json.loads(SCHEMA_FILE.read_text())
    jupyter = EventLogger(handlers=[logging.NullHandler()])
    jupyter.register_event_schema(SCHEMA_FILE)
    recorded = [json.loads(line) for line in path.read_text().splitlines()]
    for event in recorded:
        Draft7Validator(schema, format_checker=FormatChecker()).validate(event)
        facts = {name: fact for name, fact in event.items() if name not in _META}
        assert facts.keys() <= schema["properties"].keys()
        capsule = jupyter.emit(schema_id=SCHEMA, data=facts)
        assert capsule is not None
        assert capsule.keys() == event.keys()
        assert {name: capsule[name] for name in _META - {"__timestamp__"}} == {
            name: event[name] for name in _META - {"__timestamp__"}
        }
    return recorded


def actions(path: Path, *facts: str) -> list[tuple[Any, ...]]:
    return [tuple(event.get(fact) for fact in ("action", *facts)) for event in read(path)]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def settings(settings: Settings, record: Path) -> Settings:
    return settings.model_copy(update={"audit_log": record})


async def test_a_launch_is_recorded_with_caller_and_outcome(service: Service, record: Path, hub: FakeHub) -> None:
    accepted = await service.launch(ref="v1")
    await service.events(accepted["events_url"])

    begun, ended = read(record)

    assert (begun["action"], begun["actor"]) == ("launch_accepted", {"kind": "anonymous", "name": "127.0.0.1"})
    assert (begun["image"], begun["repo_url"], begun["ref"]) == (BODY["image"], BODY["repo_url"], "v1")
    assert (begun["launch_id"], begun["username"], begun["server_name"]) == (accepted["id"], next(iter(hub.users)), "")
    assert len(begun["request_id"]) == 32
    assert (ended["action"], ended["outcome"], ended["attempts"]) == ("launch_ended", "ready", 1)
    assert "cause" not in ended


async def test_a_launch_by_name_is_recorded_with_its_environment_size_and_image(
    settings: Settings, record: Path, tmp_path: Path
) -> None:
    async with serve(settings, catalogue_file=catalogue_in(tmp_path)) as service:
        await service.launch()
        await service.http.post("/launch", json={"environment": "scipy"})

    found = [fact for fact in actions(record, "environment", "size", "image") if fact[0] == "launch_accepted"]
    assert found == [
        ("launch_accepted", None, None, BODY["image"]),
        ("launch_accepted", "scipy", "small", "quay.io/org/scipy"),
    ]


async def test_repeated_cancels_are_recorded_once(service: Service, record: Path, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    accepted = await service.launch()
    await hub.until(lambda: hub.count("spawn_started"))

    await service.cancel(accepted)

    assert actions(record, "outcome") == [
        ("launch_accepted", None),
        ("launch_cancel_requested", None),
        ("launch_ended", "cancelled"),
    ]
    assert read(record)[1]["actor"] == {"kind": "anonymous", "name": "127.0.0.1"}


async def test_stopped_servers_and_failed_launches_are_recorded(service: Service, record: Path, hub: FakeHub) -> None:
    accepted = await service.launch()
    await service.events(accepted["events_url"])
    await service.cancel(accepted)
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    failing = await service.launch()
    await service.events(failing["events_url"])

    assert actions(record, "outcome", "cause") == [
        ("launch_accepted", None, None),
        ("launch_ended", "ready", None),
        ("launch_cancel_requested", None, None),
        ("launch_stopped", None, None),
        ("launch_accepted", None, None),
        ("launch_ended", "failed", "spawn_failed"),
    ]


async def test_the_audit_log_has_no_secrets(service: Service, record: Path, settings: Settings) -> None:
    key = "idempotency-key-that-nobody-may-see"
    answer = await service.http.post("/launch", json=BODY, headers={"Idempotency-Key": key})
    accepted = answer.json()
    ready = (await service.events(accepted["events_url"]))[-1]
    await service.cancel(accepted)

    written = str(read(record))

    assert ready["token"]
    for secret in (ready["token"], accepted["secret"], key, settings.hub_api_token.get_secret_value()):
        assert secret not in written


async def test_an_audit_log_that_cannot_be_opened_stops_startup(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match=r"LAUNCHER_AUDIT_LOG: .* cannot be written \(No such file"):
        async with serve(settings, audit_log=tmp_path / "no" / "audit.jsonl"):
            pass


async def test_standard_output_holds_only_the_audit_log(hub: FakeHub, tmp_path: Path) -> None:
    database, out = f"sqlite:///{tmp_path}/l.sqlite", tmp_path / "out"
    async with replica(hub, database, LAUNCHER_AUDIT_LOG="-", LAUNCHER_LOG_FORMAT="json") as one:
        await events(one, await launch(one))
        one.process.terminate()
        await one.process.wait()

    out.write_text("\n".join(line for line in one.logs[0].splitlines() if '"__schema__"' in line))
    assert [action for action, *_ in actions(out)] == ["launch_accepted", "launch_ended"]


@pytest.fixture
async def written(record: Path) -> AsyncGenerator[AuditLog]:
    log = AuditLog(record)
    yield log
    log.close()


def test_a_moved_audit_log_is_reopened(written: AuditLog, record: Path) -> None:
    written.write("key_added", operator(), key="one")
    record.rename(record.with_suffix(".1"))
    written.write("key_added", operator(), key="two")
    written.write("key_revoked", operator(), key="two")

    assert actions(record.with_suffix(".1"), "key") == [("key_added", "one")]
    assert actions(record, "key") == [("key_added", "two"), ("key_revoked", "two")]


def test_a_new_audit_log_is_private_and_an_old_one_is_appended_to(record: Path) -> None:
    for name in ("one", "two"):
        log = AuditLog(record)
        log.write("key_added", operator(), key=name)
        log.close()

    assert actions(record, "key") == [("key_added", "one"), ("key_added", "two")]
    assert record.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_logged_once_and_loses_no_later_event(
    written: AuditLog, record: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.write

    def full(file: int, line: bytes) -> int:
        real(file, line[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        written.write("key_added", operator(), key="lost")
        written.write("key_added", operator(), key="lost too")
    written.write("key_added", operator(), key="kept")

    assert [record.message for record in caplog.records].count(
        f"The audit log {record} cannot be written: No space left on device"
    ) == 1
    assert json.loads(record.read_text().splitlines()[-1])["key"] == "kept"


async def test_added_and_revoked_keys_are_recorded_without_the_key(record: Path, tmp_path: Path) -> None:
    variables = {"LAUNCHER_AUDIT_LOG": str(record), "LAUNCHER_API_KEYS_FILE": str(tmp_path / "keys.json")}
    said = ""
    for arguments in (("add", "site", "--image", "quay.io/a/*", "--admin"), ("revoke", "site"), ("revoke", "site")):
        async with started("hublaunch.cli", "keys", *arguments, **variables) as process:
            said += (await process.communicate())[0].decode()

    added, revoked = read(record)
    key = next(line for line in said.splitlines() if line.startswith("hl_"))
    assert (added["action"], added["key"], added["actor"]) == ("key_added", "site", operator())
    assert added["rights"] == {"allowed_images": ["quay.io/a/*"], "is_admin": True, "may_name_user": False}
    assert (revoked["action"], revoked["key"]) == ("key_revoked", "site")
    assert key not in str(read(record))


async def test_clearing_the_guard_is_recorded(settings: Settings, hub: FakeHub, record: Path) -> None:
    async with serve(settings, audit_log=None):
        pass  # creates the database
    variables = {
        "LAUNCHER_AUDIT_LOG": str(record),
        "LAUNCHER_DATABASE_URL": settings.database_url,
        "LAUNCHER_HUB_URL": hub.url,
        "LAUNCHER_HUB_API_TOKEN": hub.api_token,
    }
    for arguments in ((), ("--image", "a/b")):
        async with started("hublaunch.cli", "guard", "clear", *arguments, **variables) as process:
            await process.communicate()

    assert actions(record, "image") == [("guard_cleared", None), ("guard_cleared", "a/b")]
    assert read(record)[0]["actor"] == operator()


async def test_no_key_is_added_without_an_audit_log(tmp_path: Path) -> None:
    variables = {
        "LAUNCHER_AUDIT_LOG": str(tmp_path / "no" / "audit.jsonl"),
        "LAUNCHER_API_KEYS_FILE": str(tmp_path / "keys.json"),
    }
    async with started("hublaunch.cli", "keys", "add", "site", **variables) as process:
        said = (await process.communicate())[0].decode()

    assert process.returncode == 1
    assert "LAUNCHER_AUDIT_LOG" in said
    assert read_keys(tmp_path / "keys.json", may_be_missing=True) == ()


def test_an_operator_without_a_name_is_recorded_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)

    assert operator() == {"kind": "operator", "name": str(os.getuid())}
