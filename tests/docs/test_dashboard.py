"""docs/grafana.json is a valid dashboard according to the types of Grafana's own SDK."""

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
    """Yield the places where a given value is missing or changed. Added values are Grafana's defaults."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{place}/{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(value, other, f"{place}/{index}")
    elif given != kept:
        yield place


def not_understood(dashboard: str) -> list[str]:
    """Return the places of a dashboard that Grafana's types drop, because they do not know them."""
    register_default_plugins()
    given = json.loads(dashboard)
    return list(lost(given, json.loads(JSONEncoder().encode(Dashboard.from_json(given)))))


def test_grafana_understands_the_whole_dashboard() -> None:
    assert not_understood(DASHBOARD) == []


@pytest.mark.parametrize("word", ["gridPos", "legendFormat", "calcs", "steps", "unit"])
def test_a_misspelled_key_is_found(word: str) -> None:
    assert not_understood(DASHBOARD.replace(f'"{word}"', f'"{word}x"', 1)) != []
