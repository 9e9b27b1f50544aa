"""Reads the settings, with an error message for each missing, invalid or misspelled variable."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsError

from hublaunch.settings.settings import ENV_FILE, PREFIX, KeysSettings, Settings
from hublaunch.settings.variables import meant_by, unknown_names

S = TypeVar("S", bound=BaseSettings)

_HINTS: Mapping[str, str] = {
    "hub_url": "set it to the URL of the Hub as browsers reach it, such as https://hub.example.org/",
    "hub_api_token": "set it to the API token that the Hub has for this service",
}


class SettingsFault(Exception):
    """The settings do not allow a start. Each of `sentences` names a variable and what it must be."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def load_settings() -> Settings:
    """Return the settings from the environment and `.env`. Raises SettingsFault with a sentence for each fault.

    A misspelled name is a fault too, because that setting would silently keep its default.
    """
    slips = [
        f"{name} is not a setting. Did you mean {meant}?"
        for name in unknown_variables()
        if (meant := meant_by(name, _variables(), prefix=PREFIX))
    ]
    try:
        settings = _loaded(Settings)
    except SettingsFault as fault:
        raise SettingsFault([*slips, *fault.sentences]) from None
    if slips:
        raise SettingsFault(slips)
    return settings


def load_keys_settings() -> KeysSettings:
    """Return the settings that `hublaunch keys` needs. Raises SettingsFault."""
    return _loaded(KeysSettings)


def unknown_variables() -> list[str]:
    """Return the variables with our prefix that are not settings, except those that Kubernetes adds for Services.

    Raises SettingsFault if `.env` cannot be read.
    """
    with _readable_env_file():
        written = DotEnvSettingsSource(Settings).env_vars
    given = {name.upper(): value or "" for name, value in {**written, **os.environ}.items()}
    return unknown_names(given, _variables(), prefix=PREFIX)


def _variables() -> list[str]:
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def _loaded(kind: type[S]) -> S:
    try:
        with _readable_env_file():
            return kind()
    except ValidationError as error:
        raise SettingsFault([_sentence(fault) for fault in error.errors(include_input=False)]) from None
    except SettingsError as error:
        raise SettingsFault([str(error)]) from None


@contextmanager
def _readable_env_file() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsFault([f"{ENV_FILE} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise SettingsFault([f"{ENV_FILE} is not UTF-8 text."]) from None


def _sentence(fault: Mapping[str, Any]) -> str:
    field = str(fault["loc"][0]) if fault["loc"] else ""
    if fault["type"] == "missing":
        return f"{PREFIX}{field.upper()} is not set: {_HINTS[field]}."
    reason = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return f"{PREFIX}{field.upper()}: {reason}."
