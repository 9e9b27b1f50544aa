"""docs/alerts.yaml, docs/grafana.json and docs/metrics.md use existing metrics, in queries that Prometheus accepts."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from hublaunch.launch.ports import Capacity, PoolState
from hublaunch.observe.metrics import Metrics
from hublaunch.observe.pool_metrics import PoolMetrics
from tests.docs.debians_prometheus import program
from tests.docs.pages import DOCS

_NAME = re.compile(r"\b(?:hublaunch|process|python)_[a-z0-9_]+")
_VARIABLES = {"$__rate_interval": "5m", "$job": "hublaunch"}


def rules() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield each query with its panel's title, and with values for the dashboard's variables."""
    for panel in json.loads((DOCS / "grafana.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in _VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query


def registry() -> CollectorRegistry:
    """Return all metrics, each with a series."""

    async def capacity() -> Capacity:
        raise NotImplementedError

    async def pools() -> list[PoolState]:
        return [PoolState(name="scipy")]

    metrics = Metrics(codes=("spawn_failed",), kinds=("get_user",), capacity=capacity, followers=lambda: 0, loops=dict)
    asyncio.run(PoolMetrics(metrics.registry, read=pools).refresh(can_read=True))
    metrics.on_loop_end("reaper")
    metrics.on_hub_request("get_user", None)("failed")
    return metrics.registry


def names() -> set[str]:
    """Return the names of all exported samples."""
    return {sample.name for family in registry().collect() for sample in family.samples}


def test_every_metric_in_a_panel_or_a_rule_is_exported() -> None:
    asked, exported = [*dashboard_queries(), *((rule.get("alert", ""), rule["expr"]) for rule in rules())], names()

    unknown = {(title, name) for title, query in asked for name in _NAME.findall(query) if name not in exported}

    assert len(asked) > 30
    assert not unknown


def test_the_metrics_page_describes_every_metric() -> None:
    page = (DOCS / "metrics.md").read_text()
    families = {name.removesuffix("_bucket") for name in names() if name.startswith("hublaunch_")}

    missing = {name for name in families if not name.endswith(("_count", "_sum")) and f"`{name}`" not in page}

    assert not missing


@pytest.mark.prometheus
def test_alerts_fire_when_they_should() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", Path(__file__).parent / "alerts_test.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_promtool_accepts_the_exported_metrics() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=generate_latest(registry()), capture_output=True, check=False
    )

    assert b"hublaunch" not in done.stdout + done.stderr
