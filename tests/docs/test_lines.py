"""Settings, commands and limits on the pages are valid: nothing is misspelled or has been renamed since."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from hublaunch.cli import cli
from hublaunch.files.limits import read_limits
from hublaunch.settings import PREFIX, load_settings
from tests.docs.pages import PAGES, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
MINIMUM = {"LAUNCHER_HUB_URL": "https://hub.example.org/", "LAUNCHER_HUB_API_TOKEN": "0123456789abcdef" * 2}
_COMMAND = re.compile(r"(?:^|\$ |\$\(|[|&] ?|-- )(?P<command>hublaunch(?: [^|#)&\n]+)?)", re.MULTILINE)
_SETTING = re.compile(rf"^(?:export |\$ )?(?P<line>{PREFIX}[A-Z_]+=.*)$", re.MULTILINE)


def shown_settings(block: Block) -> dict[str, str]:
    """Return the settings that a block's lines set; a command may follow on the same line."""
    found = {}
    for line in _SETTING.finditer(block.text):
        words = shlex.split(line["line"], comments=True) if " hublaunch " in line["line"] else [line["line"]]
        for word in words:
            name, equals, value = word.partition("=")
            if equals and name.startswith(PREFIX):
                found[name] = value
    return found


def shown_commands(block: Block) -> list[list[str]]:
    if block.language == "python":
        return []
    return [shlex.split(found["command"], comments=True) for found in _COMMAND.finditer(joined(block.text))]


def joined(text: str) -> str:
    """Return the text, joining lines that a backslash continues."""
    return re.sub(r"\\\n\s*", "", text)


@pytest.mark.parametrize("block", [block for block in BLOCKS if shown_settings(block)], ids=str)
def test_settings_in_examples_are_valid(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env is
    shown = shown_settings(block)
    for name, value in (MINIMUM | shown).items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    names = {name.removeprefix(PREFIX).lower() for name in shown}
    assert names <= settings.model_fields_set


@pytest.mark.parametrize("block", [block for block in BLOCKS if shown_commands(block)], ids=str)
def test_commands_on_pages_have_the_options_shown(block: Block) -> None:
    for _, *words in shown_commands(block):
        parse(typer.main.get_command(cli), words)


def parse(command: Any, words: list[str]) -> None:
    """Parse the words as the command would, without running it. Raises typer's error if they are invalid."""
    if isinstance(command, TyperGroup) and words:
        _, named, rest = command.resolve_command(typer.Context(command), words)
        parse(named, rest)
    else:
        command.make_context(command.name, words)  # also a group without words, which may need some


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml" and block.page.name == "quotas.md"], ids=str
)
def test_limits_in_examples_are_valid(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(block.text)

    assert read_limits(path).rules
