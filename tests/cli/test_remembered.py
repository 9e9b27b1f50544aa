"""The launches that the command line remembers on this machine, and the services that get their secrets."""

import stat
from pathlib import Path

from tests.cli.commands import CommandLine, ended
from tests.cli.test_launches import in_progress, not_found
from tests.fakes.hub import FakeHub
from tests.fakes.wire import WireServer
from tests.support.served import IMAGE


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_secrets_are_readable_by_their_user_only(shell: CommandLine) -> None:
    await shell.run("launch", IMAGE)

    kept = shell.state / "hublaunch" / "launches.json"
    assert (mode(kept), mode(kept.parent)) == (0o600, 0o700)
    assert {path.name for path in kept.parent.iterdir()} == {"launches.json", "launches.json.lock"}


async def test_a_secret_is_sent_to_no_other_service(shell: CommandLine, hub: FakeHub) -> None:
    launch_id = await in_progress(shell, hub)
    secret = (shell.state / "hublaunch" / "launches.json").read_text().split('"secret": "')[1].split('"')[0]

    async with WireServer(not_found) as other:
        await shell.run("watch", launch_id, "--url", other.url)
        seen = b"".join(other.requests)

    assert launch_id.encode() in seen
    assert secret.encode() not in seen
    hub.release(next(iter(hub.users)))


async def test_a_launch_goes_on_where_neither_its_secret_nor_a_page_for_the_browser_can_be_stored(
    shell: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = CommandLine(shell.url, tmp_path / "file")

    done = await nowhere.run("launch", IMAGE, "--open", BROWSER="true %s")

    assert done.status == 0
    assert "The server cannot be opened from here: Not a directory" in done.err
    assert "Without a token, later commands can only watch it" in done.err


async def test_a_file_that_hublaunch_did_not_write_is_not_changed(shell: CommandLine) -> None:
    kept = shell.state / "hublaunch" / "launches.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("not ours")

    done = await shell.run("launch", IMAGE)

    assert done.status == 0
    assert f"{kept} was not written by hublaunch" in done.err
    assert kept.read_text() == "not ours"


async def test_the_browser_gets_no_token_as_an_argument(shell: CommandLine, tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    browser.chmod(0o700)

    done = await ended(await shell.begin("launch", IMAGE, "--open", "--json", BROWSER=f"{browser} %s"))

    ready = done.objects()[-1]
    (opened,) = seen.read_text().split()
    page = shell.state / "hublaunch" / f"open-{ready['launch_id']}.html"
    assert opened == page.as_uri()
    assert ready["open_url"] in page.read_text()
    assert mode(page) == 0o600
