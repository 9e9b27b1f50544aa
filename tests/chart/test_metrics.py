"""The chart's alerts, dashboard and metrics port."""

import json

import yaml

from helm.generate import DOCS
from tests.chart.helm import Helm

HUB = ("--set", "settings.hub_url=https://hub.example.org/")
ALL = "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.grafanaDashboard.enabled=true"


def test_the_alerts_and_the_dashboard_are_those_of_the_docs(helm: Helm) -> None:
    rendered = helm.rendered(*HUB, "--set", f"settings.metrics_port=9095,{ALL}")

    board = rendered.named("ConfigMap", "hublaunch-grafana")["data"]["hublaunch.json"]
    assert rendered.only("PrometheusRule")["spec"] == yaml.safe_load((DOCS / "alerts.yaml").read_text())
    assert json.loads(board) == json.loads((DOCS / "grafana.json").read_text())
