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


def test_metrics_are_served_on_the_configured_port_only(helm: Helm) -> None:
    served = helm.rendered(*HUB, "--set", "settings.metrics_port=9095")
    none = helm.rendered(*HUB)

    assert served.environment["LAUNCHER_METRICS_HOST"] == "0.0.0.0"
    assert [port["port"] for port in served.only("Service")["spec"]["ports"]] == [8083, 9095]
    assert [port["port"] for port in none.only("Service")["spec"]["ports"]] == [8083]
    assert "LAUNCHER_METRICS_PORT" not in none.environment
