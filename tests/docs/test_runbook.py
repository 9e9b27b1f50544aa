"""docs/runbook.md has an entry for each alert, in the words of the service."""

import re

import pytest
import yaml

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "runbook.md").read_text()
SOURCES = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))

ELSEWHERE = {"concurrent_spawn_limit", "active_server_limit", "api_token", "runbook_url"}
"""Names of the Hub and of Prometheus."""


def alerts() -> dict[str, str]:
    """Return the runbook_url of each alert."""
    groups = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules}


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def entries() -> dict[str, str]:
    """Return the text of each entry, by its anchor."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return {anchor(heading): text for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def test_every_alert_leads_to_an_entry_and_the_table_says_the_same() -> None:
    listed = {
        name: f"docs/runbook.md#{entry}"
        for names, entry in re.findall(r"^\| (`Hublaunch.*?) \| \[.*?\]\(#(.*?)\) \|$", PAGE, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }

    assert listed == alerts()
    assert {url.removeprefix("docs/runbook.md#") for url in listed.values()} <= entries().keys()


@pytest.mark.parametrize("entry", sorted({url.removeprefix("docs/runbook.md#") for url in alerts().values()}))
def test_the_entry_of_an_alert_says_what_to_run_and_when_it_worked(entry: str) -> None:
    text = entries()[entry]

    assert [part for part in ("**You see**", "**Run**", "**It worked**") if part not in text] == []
    assert "**Do**" in text or re.search(r"\| do \|$", text, flags=re.MULTILINE)


def test_the_reasons_are_those_of_the_service() -> None:
    quoted = [text.replace("…", ".*") for text in re.findall(r"`reasons`: \*(.+?)\*", PAGE)]

    assert len(quoted) > 4
    assert [text for text in quoted if not re.search(text, SOURCES)] == []


def test_every_code_task_and_field_on_the_page_exists() -> None:
    metrics = {re.sub(r"^hublaunch_|_total$", "", name) for name in re.findall(r"`(hublaunch_\w+)`", PAGE)}
    named = set(re.findall(r"`(?!hublaunch_)([a-z]+(?:_[a-z]+)+)`", PAGE)) - ELSEWHERE | metrics

    assert len(named) > 20
    assert [name for name in named if name not in SOURCES] == []
