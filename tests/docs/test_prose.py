"""No text of the project has the turns of phrase that readers stumble over; CONTRIBUTING says how we write."""

import re
import subprocess
from pathlib import Path

from tests.docs.pages import ROOT

_SELF = Path(__file__).relative_to(ROOT)
_WRITTEN_BY_US = {
    ".css",
    ".html",
    ".ipynb",
    ".js",
    ".md",
    ".mjs",
    ".py",
    ".sh",
    ".toml",
    ".tpl",
    ".tsx",
    ".txt",
    ".yaml",
    ".yml",
}
_QUOTED_FROM_ELSEWHERE = {"spawner_words.txt"}
STUMBLES = (
    r"^(?:<{7}|>{7}) ",
    r"\banew\b",
    r"\bheeds?\b",
    r"\bheeded\b",
    r"\bof late\b",
    r"\bwhose turn\b",
    r"\bis heard of\b",
    r"\bheard of no more\b",
    r"\b(?:is|are) told\b(?! to\b)",
    r"\b(?:may|can) be had\b",
    r"\bto be had\b",
    r"\bwho shows?\b",
    r"\bwhoever\b",
    r"\bwhatever is\b",
    r"\bso far as\b",
    r"\bas it stands\b",
    r"\bunder way\b",
    r"\b(?:is|are) let (?:through|in)\b",
    r"\blet through\b",
    r"\b(?<!the )(?<!this )one that\b",
    r"\bno such one\b",
    r"(?<!there )\b(?-i:is none)\b",
    r"\b(?:back|place|stands?|waits?) in line\b",
    r"\bsee[ns]? to it that\b",
    r"\b(?:misspelt|learnt|whilst|towards)\b",
    r"\bsuch as by\b",
    r"\bmoment in which\b",
    r", also (?:if|when|where|while|by|before|after|those)\b",
    r"(?:^|[.:;] )Who (?:has|shows|sends|asks|launches|follows|knows|wants|watches|gets)\b",
)
"""Each can be said more plainly, and none has another common use here."""
_STUMBLE = re.compile("|".join(STUMBLES), re.IGNORECASE)


def our_texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    return [
        path
        for path in paths
        if (path.suffix in _WRITTEN_BY_US or path.name in ("Makefile", "Dockerfile", ".env.example"))
        and path.name not in _QUOTED_FROM_ELSEWHERE
        and path != _SELF
        and (ROOT / path).is_file()
    ]


def test_texts_have_no_phrase_that_readers_stumble_over() -> None:
    found = [
        f"{path}:{number}: {phrase[0].strip()}"
        for path in our_texts()
        for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1)
        for phrase in _STUMBLE.finditer(line)
    ]

    assert not found, "write it plainly (CONTRIBUTING, How we write):\n" + "\n".join(found)
