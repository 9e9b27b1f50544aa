"""Why a spawn failed, read from the messages of JupyterHub and of its spawner, and from Kubernetes' events."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress

from hublaunch.launch.errors import (
    ServerSilent,
    SpawnCancelled,
    SpawnError,
    SpawnFailed,
    SpawnRefused,
    StartTimedOut,
)
from hublaunch.launch.rules import signs
from hublaunch.launch.rules.messages import MESSAGE_MAX, clean
from hublaunch.launch.rules.signs import Hurdle, Message, Sign

_SILENT = re.compile(r"Server at \S+ didn't respond in [\d.]+ seconds")
_START_TIMEOUT = re.compile(r"Timeout|pod[ /]\S+ did not start in [\d.]+ seconds!")
_START_TIMEOUT_MIN_S = 10.0
"""A failure without a reason that comes sooner is not the Hub's start_timeout, which is 60 s by default."""
_NO_REASON = "Spawn failed"

_HTTP_ERROR = re.compile(r"HTTP (\d{3}): error(?: \((.*?)\)?)?", re.DOTALL)
_SPAWN_EXCEPTION = re.compile(r"(\d{3}) \w+\(reason=[^)]*\): (.*)", re.DOTALL)
_KUBERNETES_ANSWER = re.compile(r'(?>.*?HTTP response body: \{).*?"message":\s*("(?:[^"\\]|\\.)*")', re.DOTALL)


def cause_of(failed: str, earlier: Sequence[Message], *, after_s: float | None = None) -> SpawnError | SpawnRefused:
    """Return the error for the Hub's cleaned `failed` message.

    `earlier`: the earlier messages, cleaned, oldest first; they may explain a failure without a reason, or a timeout.
    `after_s`: how long the spawn took to fail; None if unknown. JupyterHub 5 and later give no reason for a
    start_timeout, nor for an exception without text. A spawner's own refusal becomes SpawnRefused, as in the Hub's
    answer to the start.
    """
    if failed == "Spawn cancelled":
        return SpawnCancelled()
    status, said = _unwrapped(failed[: 4 * MESSAGE_MAX].removeprefix("Spawn failed:").strip())
    if 400 <= status < 500:
        return SpawnRefused("start the server", status, said or "no reason given")
    if said in ("", _NO_REASON):
        return _explained(earlier) or _without_words(after_s, timed=not said, warned=_last_warning(earlier))
    if _SILENT.fullmatch(said):
        return _explained(earlier) or ServerSilent(said)
    if _START_TIMEOUT.fullmatch(said):
        words = "" if said == "Timeout" else said
        return _explained(earlier) or StartTimedOut(words, after_s=after_s, warned=_last_warning(earlier))
    sign = next((sign for sign in signs.SIGNS if sign.words.match(said)), None)
    return sign.cause(said) if sign else SpawnFailed(said)


def _without_words(after_s: float | None, *, timed: bool, warned: str) -> SpawnFailed:
    """Return the error for a failure without a reason, depending on how long it took."""
    if timed and after_s is not None and after_s >= _START_TIMEOUT_MIN_S:
        return StartTimedOut("", after_s=after_s, warned=warned)
    took = "" if after_s is None else f", after {after_s:.1f} s"
    sentence = f"The spawn failed{took}, and neither JupyterHub nor its spawner gave a reason."
    return SpawnFailed(f"{sentence} The last warning was: {warned}" if warned else sentence)


def _unwrapped(text: str) -> tuple[int, str]:
    """Return the status of an HTTP error, or 0, and the message inside the text that frameworks put around it."""
    status = 0
    if wrapped := _HTTP_ERROR.fullmatch(text) or _SPAWN_EXCEPTION.fullmatch(text):
        status, text = int(wrapped[1]), wrapped[2] or ""
    if answer := _KUBERNETES_ANSWER.match(text):
        with suppress(ValueError):
            text = json.loads(answer[1], strict=False)
    return status, clean(text)


def _explained(earlier: Sequence[Message]) -> SpawnFailed | None:
    """Return the error for the latest hurdle with trouble that was not overcome, or None."""
    passed = 0
    troubles: list[tuple[Sign, Message]] = []
    for message in reversed(earlier):
        if mark := signs.mark_in(message):
            passed = max(passed, _passed(message, mark.passed or 0))
        elif (sign := signs.sign_in(message)) and sign.hurdle > passed:
            troubles.append((sign, message))
    if not troubles:
        return None
    sign, message = min(troubles, key=lambda trouble: (-trouble[0].hurdle, signs.SIGNS.index(trouble[0])))
    is_anothers = sign.cause.is_of_image and not _is_of_server(message)
    return (SpawnFailed if is_anothers else sign.cause)(signs.said(message))


def _passed(message: Message, hurdle: int) -> int:
    """Return the hurdle that the server itself has passed: each container has an image of its own to pull and run."""
    return hurdle if _is_of_server(message) else min(hurdle, Hurdle.VOLUMES)


def _is_of_server(message: Message) -> bool:
    """Return whether a message may be about the server, rather than an init container or a sidecar in its pod."""
    return message.raw_event is None or message.raw_event.is_of_server


def _last_warning(earlier: Sequence[Message]) -> str:
    warnings = (each for each in reversed(earlier) if each.raw_event and each.raw_event.type == "Warning")
    return next(map(signs.said, warnings), "")
