"""The operator's pre_launch_hook."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import HTTPError

from hublaunch.launch.acceptance import hook
from hublaunch.launch.acceptance.hook import PreLaunchHook
from hublaunch.launch.errors import HookFailed, HookRefused

ARGUMENTS = ("python:3.12", "a-user", "", "https://github.com/a/b")


class Refusal(Exception):
    def __init__(self, status_code: int, **words: str) -> None:
        self.status_code = status_code
        self.__dict__.update(words)


async def check(function: Callable[..., Any]) -> None:
    await PreLaunchHook(function, "the launcher").check(*ARGUMENTS)


async def test_a_hook_gets_binderhubs_five_arguments() -> None:
    got: list[object] = []

    await check(lambda *arguments: got.extend(arguments))

    assert got == ["the launcher", *ARGUMENTS]


async def test_a_plain_function_runs_in_a_thread_and_a_coroutine_function_in_the_loop() -> None:
    threads: list[threading.Thread] = []

    async def coroutine(*_: object) -> None:
        threads.append(threading.current_thread())

    await check(lambda *_: threads.append(threading.current_thread()))
    await check(coroutine)

    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


async def test_a_plain_function_that_returns_an_awaitable_is_awaited() -> None:
    async def refuse() -> None:
        raise Refusal(403)

    with pytest.raises(HookRefused):
        await check(lambda *_: refuse())


@pytest.mark.parametrize("word", ["log_message", "detail", "reason"])
async def test_an_error_with_a_status_code_refuses_with_that_status_and_its_text(word: str) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(429, **{word: "come back\nlater"})

    with pytest.raises(HookRefused, match="come back later") as refusal:
        await check(refuse)

    assert refusal.value.status_code == 429


async def test_a_refusal_without_a_text_gets_a_default_one() -> None:
    def refuse(*_: object) -> None:
        raise Refusal(403)

    with pytest.raises(HookRefused, match="refused this launch"):
        await check(refuse)


async def test_any_other_error_means_a_failed_hook_and_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("hunter2")

    with pytest.raises(HookFailed) as failure:
        await check(fail)

    assert "hunter2" not in str(failure.value)
    assert "hunter2" in caplog.text


async def test_a_hook_that_takes_too_long_fails() -> None:

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    with pytest.raises(HookFailed, match="took too long"):
        await PreLaunchHook(hang, "the launcher", timeout_s=0.01).check(*ARGUMENTS)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HTTPError(451, "not %s", "today"), "not today"),
        (HTTPError(451, "%d of %d in use", 3, 3), "3 of 3 in use"),
        (HTTPError(451, "100% in use"), "100% in use"),
        (HTTPError(451, "not %s and %s", "today"), "not %s and %s"),
        (HTTPError(451, "not %d", "today"), "not %d"),
        (HTTPError(451), "The operator's check refused this launch."),
        (HTTPError(451, reason="Not Today"), "Not Today"),
    ],
)
async def test_the_text_of_tornados_error_is_formatted(error: HTTPError, words: str) -> None:
    def refuse(*_: object) -> None:
        raise error

    with pytest.raises(HookRefused) as refusal:
        await check(refuse)

    assert (refusal.value.status_code, str(refusal.value)) == (451, words)


async def test_hooks_that_hang_use_only_their_own_threads() -> None:
    let_go = threading.Event()
    hanging = PreLaunchHook(lambda *_: let_go.wait(60), "the launcher", timeout_s=1, threads_max=40)

    try:
        verdicts = await asyncio.gather(*(hanging.check(*ARGUMENTS) for _ in range(60)), return_exceptions=True)
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(lambda: "a name was looked up") == "a name was looked up"
        threads = [thread for thread in threading.enumerate() if thread.name == "pre_launch_hook"]
    finally:
        let_go.set()

    assert [type(verdict) for verdict in verdicts] == [HookFailed] * 60
    assert len(threads) == 40
    assert all(thread.daemon for thread in threads), "a stopping process waits for none of them"
    async with asyncio.timeout(30):
        for thread in threads:
            await asyncio.to_thread(thread.join)
    await hanging.check(*ARGUMENTS)


async def test_a_thread_that_cannot_be_started_does_not_block_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    allowing = PreLaunchHook(lambda *_: None, "the launcher", threads_max=2)
    with monkeypatch.context() as without_threads:
        without_threads.setattr(hook, "Thread", NoThread)
        for _ in range(2):
            with pytest.raises(HookFailed, match="raised an unexpected error"):
                await allowing.check(*ARGUMENTS)

    async with asyncio.timeout(5):
        await allowing.check(*ARGUMENTS)
