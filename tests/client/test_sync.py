"""`hublaunch.sync`: where the synchronous client runs, and how it ends."""

import inspect
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hublaunch import client, sync
from hublaunch.settings import Settings
from hublaunch.testing import FakeHublaunch, FakeLaunch
from tests.client.worlds import SyncInThread, followed, real_world
from tests.fakes.hub import FakeHub
from tests.support.served import IMAGE, REPO

INTERRUPTED = """
from hublaunch.sync import LaunchClient
from hublaunch.testing import FakeHublaunch

fake = FakeHublaunch(play=lambda launch: launch.report("Pulling"))
with LaunchClient(fake.url, transport=fake.transport) as client:
    for event in client.follow(client.launch("a/b").id):
        print(event.message, flush=True)
"""
INTERRUPTED_IN_ANOTHER_THREAD = (
    """
import signal, threading

def interrupt():
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
"""
    + INTERRUPTED
    + """        if event.message == "Pulling":
            threading.Timer(0.5, interrupt).start()
"""
)


def methods(kind: type) -> dict[str, list[inspect.Parameter]]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: list(inspect.signature(each).parameters.values())
        for name, each in found
        if not name.startswith("_") or name == "__init__"
    }


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    asynchronous = methods(client.LaunchClient)
    del asynchronous["updates"]  # the two clients share it; `follow` is for users

    assert methods(sync.LaunchClient) == asynchronous


async def test_the_client_works_in_a_thread_that_runs_an_event_loop() -> None:
    """As in a notebook's cell. The call blocks the loop, as any synchronous call does."""
    fake = FakeHublaunch()

    with sync.LaunchClient(fake.url, transport=fake.transport) as launcher:
        launch = launcher.launch(IMAGE)
        phases = [event.phase for event in launcher.follow(launch.id)]

    assert phases == ["waiting", "ready"]


async def test_the_client_launches_at_the_real_service(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    async with real_world(settings, hub, tmp_path) as world:
        with sync.LaunchClient(world.url) as launcher:
            thread = SyncInThread(launcher)
            launch = await thread.launch(IMAGE, repo_url=REPO)
            phases = [event.phase for event in await followed(thread, launch.id)]
            stopped = await thread.cancel(launch.id)
            status = (await thread.get(launch.id)).status

    assert (phases[0], phases[-1]) == ("waiting", "ready")
    assert (stopped, status) == (True, "stopped")


def test_positions_are_reported_in_the_thread_that_iterates() -> None:
    """So the callback may use the client, here to cancel."""
    fake = FakeHublaunch(play=lambda launch: launch.queue(9, 12))
    threads = []

    with sync.LaunchClient(fake.url, transport=fake.transport) as launcher:
        launch = launcher.launch(IMAGE)

        def give_up(_: client.Position) -> None:
            threads.append(threading.current_thread())
            launcher.cancel(launch.id)

        phases = [event.phase for event in launcher.follow(launch.id, on_position=give_up)]

    assert phases[-1] == "cancelled"
    assert set(threads) == {threading.current_thread()}


def test_several_threads_share_one_client() -> None:
    fake = FakeHublaunch()
    phases: list[str] = []

    with sync.LaunchClient(fake.url, transport=fake.transport) as launcher:

        def launch() -> None:
            phases.extend(event.phase for event in launcher.follow(launcher.launch(IMAGE).id))

        threads = [threading.Thread(target=launch) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(phases) == ["ready"] * 5 + ["waiting"] * 5


def test_ctrl_c_ends_a_loop_over_events_immediately(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", INTERRUPTED],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        said = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert said == ["Accepted\n", "Pulling\n"]
    assert process.returncode == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert "never retrieved" not in err
    assert "never awaited" not in err


def test_an_interrupt_ends_the_loop_whichever_thread_receives_it(tmp_path: Path) -> None:
    """Python raises KeyboardInterrupt in the main thread, which does not wake up for another thread's signal."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_ANOTHER_THREAD],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == -signal.SIGINT
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_a_client_outside_its_with_block_says_so() -> None:
    fake = FakeHublaunch(play=FakeLaunch.ready)
    launcher = sync.LaunchClient(fake.url, transport=fake.transport)
    with pytest.raises(RuntimeError, match="Enter the client first"):
        launcher.session()

    with launcher:
        events = launcher.follow(launcher.launch(IMAGE).id)
        next(events)
    events.close()  # quietly, though its client is closed

    with pytest.raises(RuntimeError, match="The client is closed"):
        launcher.session()
