"""docs/grafana.json is what Grafana understands by a dashboard, held to the types of its own SDK."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.docs.pages import DOCS

DASHBOARD = (DOCS / "grafana.json").read_text()


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Where something that is given was not kept, or not as it was. What was added is a default of Grafana's."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{place}/{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(value, other, f"{place}/{index}")
    elif given != kept:
        yield place


def not_understood(dashboard: str) -> list[str]:
    """The places of a dashboard that are gone once it went through Grafana's types, which keep what they know."""
    register_default_plugins()
    given = json.loads(dashboard)
    return list(lost(given, json.loads(JSONEncoder().encode(Dashboard.from_json(given)))))


def test_grafana_understands_the_whole_dashboard() -> None:
    assert not_understood(DASHBOARD) == []


@pytest.mark.parametrize("word", ["gridPos", "legendFormat", "calcs", "steps", "unit"])
def test_a_misspelled_key_is_found(word: str) -> None:
    assert not_understood(DASHBOARD.replace(f'"{word}"', f'"{word}x"', 1)) != []
