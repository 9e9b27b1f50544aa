"""`hublaunch launch`, `watch`, `extend`, `list` and `cancel` in pipes, as scripts use them."""

import json
import re
import sys
from pathlib import Path

import pytest
from ulid import ULID

from hublaunch.cli.duration import seconds_of
from hublaunch.files.keys import add_key
from hublaunch.settings import Settings
from tests.cli.commands import CommandLine, ended, interrupt
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.fakes.wire import WireConnection, WireServer
from tests.support.catalogue import catalogue_in
from tests.support.served import IMAGE, REPO, serve


async def in_progress(shell: CommandLine, hub: FakeHub) -> str:
    """Return the id of a launch that stays in progress."""
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    launch_id = (await shell.run("launch", IMAGE, "--repo", REPO, "--no-wait")).out.strip()
    await hub.until(lambda: hub.active_servers)
    return launch_id


async def not_found(connection: WireConnection) -> None:
    await connection.read_request()
    await connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


async def test_a_launch_prints_one_line_per_event_and_finally_the_address(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], seconds=0.1))

    done = await shell.run("launch", IMAGE, "--repo", REPO, "--ref", "v1", "--path", "lab/tree/x.ipynb")

    (user,) = hub.users
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert (hub.users[user].servers[""].user_options or {})["ref"] == "v1"
    assert [line.split()[1] for line in lines] == ["queued", "starting", "starting", "starting", "ready"]
    assert lines[3].endswith("Pulling")
    assert f"{hub.url}user/{user}/lab/tree/x.ipynb?token=" in lines[-1]


async def test_with_json_each_line_is_an_event_as_the_service_sends_it(shell: CommandLine) -> None:
    done = await shell.run("launch", IMAGE, "--json")

    events = done.objects()
    assert done.status == 0
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["phase"] == "ready"
    assert events[-1]["token"] in events[-1]["open_url"]


async def test_the_catalogue_is_listed_and_launched_by_name(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    changed = {"catalogue_file": catalogue_in(tmp_path), "allowed_images": ("quay.io/jupyter/*",)}
    async with serve(settings.model_copy(update=changed)) as service:
        shell = CommandLine(str(service.http.base_url), tmp_path / "state")

        listed = await shell.run("catalogue")
        as_json = await shell.run("catalogue", "--json")
        launched = await shell.run("launch", "scipy", "--size", "large", "--no-wait", "--json")
        misspelled = await shell.run("launch", "scypi")
        of_scipy, of_another = [await shell.run("list", "--environment", name, "--json") for name in ("scipy", "r")]

    assert listed.out.splitlines() == [
        "NAME   SIZES         TITLE",
        "scipy  small, large  SciPy",
        "Images: quay.io/jupyter/*",
    ]
    assert [one["name"] for one in as_json.objects()[0]["environments"]] == ["scipy"]
    (launch,) = launched.objects()
    assert (launch["environment"], launch["size"], launch["image"]) == ("scipy", "large", "quay.io/org/scipy")
    assert misspelled.status == 3
    assert "Did you mean scipy? Correct" in misspelled.err
    assert "write scypi:latest" in misspelled.err
    assert [one["id"] for one in of_scipy.objects()] == [launch["id"]]
    assert (of_another.out, of_another.err) == ("", f"No launches of r at {shell.url}/.\n")


async def test_a_service_without_a_catalogue_lists_its_images_alone(shell: CommandLine) -> None:
    listed = await shell.run("catalogue")

    assert (listed.status, listed.err) == (0, f"No environments at {shell.url}/.\n")
    assert listed.out.startswith("Images: ")


async def test_a_failed_launch_says_why_and_exits_with_1(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(fails="\x1b[31mimage pull failed"))

    done = await shell.run("launch", IMAGE)

    assert done.status == 1
    assert "image pull failed" in done.out.splitlines()[-1]
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("option", "in_queue", "admitted"),
    [("--wait", "1 of 1 in the queue", "out of the queue"), ("--json", '"position": 1', '"position": 0')],
)
async def test_the_position_in_the_queue_is_printed_until_admission(
    settings: Settings, hub: FakeHub, tmp_path: Path, option: str, in_queue: str, admitted: str
) -> None:
    hub.spawn_plan(None, SpawnPlan(never=True))
    async with serve(settings.model_copy(update={"max_concurrent_spawns": 1})) as service:
        first = await service.launch()
        await hub.until(lambda: hub.active_servers)
        process = await CommandLine(str(service.http.base_url), tmp_path / "state").begin("launch", IMAGE, option)
        assert process.stdout
        lines = [(await process.stdout.readline()).decode() for _ in range(2)]
        await service.cancel(first)
        while in_queue in (then := (await process.stdout.readline()).decode()):  # printed every second
            pass
        done = await interrupt(process)

    assert "Accepted" in lines[0]
    assert in_queue in lines[1]
    assert admitted in then
    assert done.status == 130


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("launch", "No/Image"), 3, "image: must be an image reference"),
        (("launch", IMAGE, "--path", "../x"), 3, "path: must have no .."),
        (("watch", str(ULID())), 3, "Launch not found"),
        (("cancel", str(ULID())), 3, "Launch not found"),
        (("launch",), 2, "IMAGE"),
        (("launch", IMAGE, "--open", "--no-wait"), 2, "--wait"),
        (("launch", IMAGE, "--url", "hub.example.org"), 2, "address of the service"),
        (("launch", IMAGE, "--token-file", "/nowhere"), 2, "/nowhere"),
        (("list", "--token-file", "/dev/zero"), 2, "The token must be printable ASCII"),
        (("list", "--url", "http://a\x7f/"), 2, "contains a name or characters that a URL cannot have"),
        (("list", "--url", f"http://{'a' * 64}.example/"), 2, "contains a name or characters that a URL cannot have"),
        (("list", "--status", "redy"), 2, "'redy' is not one of"),
    ],
)
async def test_refusals_exit_with_3_and_wrong_usage_with_2(
    shell: CommandLine, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = await shell.run(*arguments)

    assert (done.status, done.out) == (status, "")
    assert words in done.err


async def test_with_json_a_refusal_is_json(shell: CommandLine) -> None:
    done = await shell.run("launch", "No/Image", "--json")

    assert done.status == 3
    assert [refusal["code"] for refusal in done.objects()] == ["invalid_request"]


async def test_an_unreachable_service_exits_with_1(shell: CommandLine) -> None:
    async with WireServer(lambda connection: connection.until_closed()) as nobody:
        url = nobody.url
    process = await shell.begin("launch", IMAGE, HUBLAUNCH_URL=url)

    done = await ended(process)

    assert (done.status, done.out) == (1, "")
    assert f"{url}/ cannot be reached" in done.err


async def test_ctrl_c_in_a_pipe_leaves_the_launch_and_says_how_to_watch_it(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"], never=True))
    process = await shell.begin("launch", IMAGE)
    assert process.stdout
    await process.stdout.readline()
    await hub.until(lambda: hub.open_streams)

    done = await interrupt(process)

    assert done.status == 130
    assert "hublaunch watch" in done.err
    assert len(hub.active_servers) == 1
    hub.release(next(iter(hub.users)))


async def test_a_launch_without_waiting_is_watched_and_cancelled_later(shell: CommandLine, hub: FakeHub) -> None:
    launch_id = await in_progress(shell, hub)
    watching = await shell.begin("watch", launch_id)
    assert watching.stdout
    first = await watching.stdout.readline()

    cancelled = await shell.run("cancel", launch_id, HUBLAUNCH_URL="")
    watched = await ended(watching)

    assert b"Accepted" in first
    assert (cancelled.status, "Cancelled." in cancelled.err) == (0, True)
    assert watched.status == 1
    assert watched.out.splitlines()[-1].split()[1] == "cancelled"
    assert hub.users == {}


async def test_watching_an_ended_launch_prints_all_its_events(shell: CommandLine) -> None:
    whole = await shell.run("launch", IMAGE, "--json")

    again = await shell.run("watch", whole.objects()[0]["launch_id"], "--json")

    assert (again.status, again.out) == (0, whole.out)


async def test_a_stranger_sees_no_address_and_cannot_cancel(shell: CommandLine, tmp_path: Path) -> None:
    launch_id = (await shell.run("launch", IMAGE, "--json")).objects()[0]["launch_id"]
    stranger = CommandLine(shell.url, tmp_path / "another")

    seen = await stranger.run("watch", launch_id, "--open", "--json")
    refused = await stranger.run("cancel", launch_id)

    assert seen.status == 0
    assert "token" not in seen.out
    assert "Only the caller who started the launch" in seen.err
    assert refused.status == 3


async def test_launches_of_this_machine_are_listed_without_a_token(shell: CommandLine, hub: FakeHub) -> None:
    await shell.run("launch", IMAGE, "--repo", REPO)
    hub.spawn_plan(None, SpawnPlan(fails="boom"))
    await shell.run("launch", "quay.io/jupyter/scipy-notebook")

    listed = (await shell.run("list")).out.splitlines()
    failed = await shell.run("list", "--status", "failed", "--json")

    assert [line.split()[1] for line in listed] == ["STATUS", "failed", "ready"]
    assert REPO in listed[2]
    assert [launch["image"] for launch in failed.objects()] == ["quay.io/jupyter/scipy-notebook"]


async def test_launches_that_the_service_no_longer_keeps_are_forgotten(shell: CommandLine) -> None:
    await shell.run("launch", IMAGE)
    kept = shell.state / "hublaunch" / "launches.json"
    content = json.loads(kept.read_text())
    gone = {**content["launches"][0], "id": str(ULID()), "a_later_field": 1}
    kept.write_text(json.dumps(content | {"launches": [*content["launches"], gone]}))

    listed = await shell.run("list")

    assert [line.split()[1] for line in listed.out.splitlines()] == ["STATUS", "ready"]
    assert gone["id"] not in kept.read_text()
    assert content["launches"][0]["id"] in kept.read_text()


async def test_a_caller_with_a_key_lists_the_launches_of_the_service(
    settings: Settings, tmp_path: Path, hub: FakeHub
) -> None:
    keys, key_file = tmp_path / "keys.json", tmp_path / "key"
    _, key = add_key(keys, name="course")
    key_file.write_text(f"{key}\n")
    async with serve(settings.model_copy(update={"access": ("key",), "api_keys_file": keys})) as service:
        shell = CommandLine(str(service.http.base_url), tmp_path / "state")
        elsewhere = CommandLine(str(service.http.base_url), tmp_path / "another")

        launched = await shell.run("launch", IMAGE, HUBLAUNCH_TOKEN=key)
        again = await shell.run("launch", IMAGE, "--if-running", "reuse", "--json", HUBLAUNCH_TOKEN=key)
        refused = await shell.run("launch", IMAGE, "--if-running", "refuse", HUBLAUNCH_TOKEN=key)
        listed = await elsewhere.run("list", "--token-file", str(key_file))
        of_scipy = await elsewhere.run("list", "--token-file", str(key_file), "--environment", "scipy")
        nobody = await elsewhere.run("launch", IMAGE)
        wrong = await elsewhere.run("list", HUBLAUNCH_TOKEN="hunter2hunter2")

    assert (launched.status, again.status, refused.status) == (0, 0, 3)
    assert "already" in refused.err
    assert [line.split()[1] for line in listed.out.splitlines()] == ["STATUS", "ready"]
    assert (of_scipy.out, of_scipy.err) == ("", f"No launches of scipy at {shell.url}/.\n")
    assert (nobody.status, wrong.status) == (3, 3)
    assert "hunter2" not in wrong.err + wrong.out


async def test_launching_loads_no_server_module(shell: CommandLine) -> None:
    program = """
import sys
from hublaunch.cli import cli
for arguments in (["launch", "a/b"], ["list"]):
    try:
        cli(arguments)
    except SystemExit as end:
        assert end.code == 0, end.code
print({"aiohttp", "alembic", "fastapi", "httptools", "sqlalchemy", "hublaunch.settings"} & set(sys.modules))
"""

    done = await ended(await shell.begin(command=(sys.executable, "-c", program)))

    assert done.out.splitlines()[-1] == "set()", done.err


async def test_a_shell_completes_commands_and_launch_ids(shell: CommandLine, hub: FakeHub) -> None:
    launch_id = await in_progress(shell, hub)
    script = str(Path(sys.executable).with_name("hublaunch"))

    async def completed(*words: str) -> str:
        typed = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        process = await shell.begin(command=(script,), _HUBLAUNCH_COMPLETE="complete_bash", **typed)
        return (await ended(process)).out

    assert "launch" in (await completed("hublaunch", "la")).split()
    assert (await completed("hublaunch", "watch", launch_id[:6])).split() == [launch_id]
    hub.release(next(iter(hub.users)))


async def test_a_ready_launch_is_extended_and_the_list_shows_its_end(settings: Settings, tmp_path: Path) -> None:
    limits = {"max_session_s": 3600, "max_extended_session_s": 7 * 3600}
    async with serve(settings.model_copy(update=limits)) as service:
        shell = CommandLine(str(service.http.base_url), tmp_path / "state")
        await shell.run("launch", IMAGE)
        (listed,) = (await shell.run("list", "--json")).objects()

        before = (await shell.run("list")).out.splitlines()
        done = await shell.run("extend", listed["id"], "--by", "1h30m")
        after = (await shell.run("list")).out.splitlines()
        beyond = await shell.run("extend", listed["id"], "--by", "1d")
        printed = await shell.run("extend", listed["id"], "--by", "2h", "--json")

    column = before[0].index("ENDS")
    assert (before[1][column:].split("  ")[0], after[1][column:].split("  ")[0]) == ("in 59 min", "in 2 h")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"The server will be stopped at \d{4}-\d\d-\d\d \d\d:\d\d \(in 2 h\)\.", done.out.strip())
    assert (beyond.status, beyond.err.startswith("The server cannot run that long.")) == (3, True)
    assert printed.objects()[0]["will_end_at"] > listed["will_end_at"]


@pytest.mark.parametrize(
    ("time", "seconds"), [("90", 90), ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("2 d", 172_800), ("5MIN", 300)]
)
def test_times_are_read_as_people_write_them(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize("time", ["", "h", "-1h", "1.5h", "30m1h", "tomorrow", "99999999999"])
async def test_other_times_are_refused(shell: CommandLine, time: str) -> None:
    done = await shell.run("extend", "01JDB9Z3N8Q4V7R2M5X6C1T0YK", "--by", time)

    assert (done.status, "must be a time such as 30m, 1h or 1h30m" in done.err) == (2, True)


async def test_help_lists_the_exit_statuses(shell: CommandLine) -> None:
    done = await shell.run("launch", "--help")

    for words in ("0 ready", "3 the service refused", "130 interrupted", "HUBLAUNCH_URL"):
        assert words in done.out
