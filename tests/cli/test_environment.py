"""`hublaunch` in odd environments: it prints a sentence, never a traceback, and the launch continues."""

import asyncio
import inspect
import os
import shlex
import socket
import sys
import tomllib
from pathlib import Path

import pytest

from hublaunch.cli.wording import event_text, problem_text
from hublaunch.client import LaunchEvent, Problem
from hublaunch.launch import errors
from tests.cli.commands import COMMAND, ROOT, CommandLine, Ended, ended, interrupt
from tests.cli.terminal import terminal
from tests.fakes.hub import FakeHub, SpawnPlan
from tests.support.served import IMAGE

JAPANESE = "クラスタ起動中"
NO_HOME = """
import pwd, sys
def getpwuid(uid): raise KeyError(uid)
pwd.getpwuid = getpwuid
from hublaunch.cli import main
main()
"""


async def in_sh(shell: CommandLine, script: str) -> Ended:
    """Run a line of sh in which HUBLAUNCH stands for the command."""
    return await ended(await shell.begin(script.replace("HUBLAUNCH", shlex.join(COMMAND)), command=("sh", "-c")))


# --- proxies and certificates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "fd00::/8"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "[::1],::1"},
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"ALL_PROXY": "socks://127.0.0.1:9", "NO_PROXY": ""},
        {"SSL_CERT_FILE": "/nonexistent/ca.pem"},
        {"SSL_CERT_DIR": "/nonexistent"},
    ],
)
async def test_variables_for_other_hosts_do_not_affect_a_loopback_service(
    shell: CommandLine, variables: dict[str, str]
) -> None:
    done = await shell.run("launch", IMAGE, **variables)

    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HTTPS_PROXY": "socks5://u:hunter2@proxy:9"}, "HTTPS_PROXY names a SOCKS proxy, which needs `pip install"),
        ({"all_proxy": "socks://u:hunter2@proxy:9"}, "all_proxy must be the URL of an http, https or socks5 proxy"),
        ({"HTTPS_PROXY": "http://[hunter2"}, "HTTPS_PROXY must be the URL"),
        ({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, "SSL_CERT_FILE cannot be used: No such file or directory."),
        ({"SSL_CERT_FILE": __file__}, "SSL_CERT_FILE cannot be used: it has no certificates in PEM form."),
    ],
)
async def test_an_unusable_variable_is_named_before_anything_is_launched(
    shell: CommandLine, variables: dict[str, str], words: str
) -> None:
    done = await shell.run("launch", IMAGE, HUBLAUNCH_URL="https://hub.example.org/", **variables)

    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert "hunter2" not in done.err


# --- the user's own machine -------------------------------------------------------------------------------------------


async def test_a_user_without_a_home_directory_can_launch(shell: CommandLine) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_STATE_HOME")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NO_HOME, "launch", IMAGE, "--open"),
        env=variables | {"HUBLAUNCH_URL": shell.url, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    done = await ended(process)

    assert done.status == 0
    assert "The server is ready" in done.out
    assert "There is no home directory: set HOME or XDG_STATE_HOME. Launch 0" in done.err
    assert "The server cannot be opened from here: There is no home directory" in done.err


@pytest.mark.parametrize("content", ['{"launches": [{"id": 1, "url": 2, "secret": 3, "created_at": 4}]}', "[]", "\xff"])
async def test_a_broken_file_of_launches_is_named(shell: CommandLine, content: str) -> None:
    kept = shell.state / "hublaunch" / "launches.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(content, encoding="latin-1")

    done = await shell.run("list")

    assert f"{kept} was not written by hublaunch" in done.err


async def test_an_argument_that_is_not_utf_8_is_wrong_usage(shell: CommandLine) -> None:
    done = await in_sh(shell, r"HUBLAUNCH launch a/b --path $(printf '\377')")

    assert (done.status, done.out) == (2, "")
    assert "An argument contains bytes that are not UTF-8." in done.err


@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("keys", "list"), ("guard",), ("show", "ID")])
async def test_an_unreadable_settings_file_is_named(
    shell: CommandLine, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_bytes(b"LAUNCHER_HUB_URL=\xff")

    done = await shell.run(*command)

    assert done.status == 1
    assert ".env is not UTF-8 text." in done.err + done.out


# --- standard output --------------------------------------------------------------------------------------------------


async def test_characters_that_the_output_cannot_encode_are_escaped(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=[JAPANESE], fails=JAPANESE))

    done = await ended(await shell.begin("launch", IMAGE, PYTHONIOENCODING="cp1252"))
    begun = [
        await shell.begin(*each, PYTHONIOENCODING="ascii") for each in (("list",), ("doctor",), ("serve", "--help"))
    ]
    others = [await ended(process) for process in begun]

    last = done.out.splitlines()[-1].split(maxsplit=3)
    assert (done.status, done.err, last[1]) == (1, "", "failed")
    assert r"\u30af\u30e9" in last[3]
    assert [each.status for each in others] == [0, 1, 0]
    assert "LAUNCHER_HUB_URL" in others[-1].out


async def test_a_terminal_without_utf_8_shows_lines_instead_of_a_bar(shell: CommandLine, hub: FakeHub) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=[JAPANESE], seconds=0.3))

    async with terminal((*COMMAND, "launch", IMAGE), shell.variables | {"PYTHONIOENCODING": "latin-1"}) as window:
        after = await window.until("status 0")

    assert r"\u30af\u30e9" in after
    assert "starting" in after


def test_control_characters_are_removed_and_joiners_kept() -> None:
    event = LaunchEvent.of(
        {"launch_id": "x", "seq": 1, "at": "2026-11-30T08:00:00Z", "phase": "launching", "progress": 0, "attempt": 1}
        | {"message": "\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f469\u200d\U0001f680\x1b[2J\u202e"}
    )

    assert event_text(event) == "\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f469\u200d\U0001f680 [2J "


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("HUBLAUNCH launch IMAGE > /dev/full; echo status $?", 1),
        ("(HUBLAUNCH launch IMAGE; echo status $? >&2) | head -n 1", 1),
        ("HUBLAUNCH launch IMAGE --no-wait > /dev/full; echo status $?", 1),
        ("HUBLAUNCH launch IMAGE --no-wait >&-; echo status $?", 0),
        ("HUBLAUNCH launch IMAGE --no-wait <&-; echo status $?", 0),
    ],
)
async def test_a_launch_whose_output_is_lost_is_named_with_the_command_to_watch_it(
    shell: CommandLine, hub: FakeHub, script: str, status: int
) -> None:
    hub.spawn_plan(None, SpawnPlan(messages=["Pulling"] * 9, seconds=0.5))

    done = await in_sh(shell, script.replace("IMAGE", IMAGE))

    assert f"status {status}" in done.out + done.err
    assert "To watch it: hublaunch watch 0" in done.err
    assert f"--url {shell.url}" in done.err
    assert "Exception ignored" not in done.err


async def test_a_launch_is_followed_with_its_output_closed(shell: CommandLine, hub: FakeHub) -> None:
    done = await in_sh(shell, f"HUBLAUNCH launch {IMAGE} >&- <&-")

    assert (done.status, done.err) == (0, "")
    assert len(hub.users) == 1


async def test_a_list_that_cannot_be_written_is_an_error(shell: CommandLine) -> None:
    await shell.run("launch", IMAGE)

    done = await in_sh(shell, "HUBLAUNCH list > /dev/full; echo status $?")

    assert done.out == "status 1\n"
    assert done.err == "The output cannot be written: No space left on device.\n"


# --- usage ---------------------------------------------------------------------------------------------


async def test_version_prints_the_version(shell: CommandLine) -> None:
    done = await shell.run("--version")

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (done.status, done.out) == (0, f"hublaunch {project['version']}\n")


async def test_ctrl_c_ends_an_operators_command_with_130(shell: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        process = await shell.begin("doctor", LAUNCHER_HUB_URL=url, LAUNCHER_HUB_API_TOKEN="0123456789")
        assert process.stdout
        first = await process.stdout.readline()
        done = await interrupt(process)

    assert b"settings" in first
    assert done.status == 130


@pytest.mark.parametrize(
    "kind",
    [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.RequestRefused)],
)
def test_the_text_of_a_refusal_has_no_words_of_http(kind: type[errors.RequestRefused]) -> None:
    if not hasattr(kind, "code"):
        return
    shown = {"code": kind.code, "title": kind.title, "detail": "", "advice": kind.advice}

    said = problem_text(Problem.of(shown))

    for words in ("header", "Authorization", "POST /", "GET /", "X-Launch-Secret", "`secret`", '"if_running"'):
        assert words not in said, said
