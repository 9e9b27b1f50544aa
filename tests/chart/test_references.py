"""References between the chart's objects: names, ports, labels and volumes."""

from pathlib import Path
from typing import Any

import pytest

from tests.chart.helm import Helm
from tests.chart.rendered import Rendered

HUB = ("--set", "settings.hub_url=https://hub.example.org/")
FROM_ELSEWHERE = {"hublaunch-secrets", "hublaunch-api-keys", "hub-ca", "hub", "hub-tokens", "pull-secret"}
"""Secrets of the operator or of z2jh that the values name."""


@pytest.fixture
def rendered(helm: Helm, values: Path) -> Rendered:
    return helm.rendered("--values", str(values))


def names(rendered: Rendered, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in rendered.manifests if each["kind"] == kind}


def volumes(rendered: Rendered) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (
        rendered.pod["volumes"] if rendered.has("Deployment") else rendered.z2jh["hub"].get("extraVolumes", [])
    )
    return told


def test_every_selector_matches_its_pods(rendered: Rendered) -> None:
    labels = (
        rendered.only("Deployment")["spec"]["template"]["metadata"]["labels"]
        if rendered.has("Deployment")
        else {"app": "jupyterhub", "component": "hub", "release": "hub"}
    )
    selectors = [rendered.only("Service")["spec"]["selector"]]
    for kind, key in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        selectors += [each["spec"][key]["matchLabels"] for each in rendered.manifests if each["kind"] == kind]

    assert all(selector.items() <= labels.items() for selector in selectors)


def test_every_named_port_exists(rendered: Rendered) -> None:
    ports = {port["name"] for port in rendered.container["ports"]}
    service = rendered.only("Service")["spec"]["ports"]
    policies = [each["spec"]["ingress"] for each in rendered.manifests if each["kind"] == "NetworkPolicy"]
    probes = [value for name, value in rendered.container.items() if name.endswith("Probe")]

    assert {port["targetPort"] for port in service} <= ports
    assert {port["port"] for policy in policies for rule in policy for port in rule["ports"]} <= ports
    assert {probe["httpGet"]["port"] for probe in probes} <= ports
    for monitor in (each for each in rendered.manifests if each["kind"] == "ServiceMonitor"):
        assert {each["port"] for each in monitor["spec"]["endpoints"]} <= {port["name"] for port in service}
        assert (
            monitor["spec"]["selector"]["matchLabels"].items() <= rendered.only("Service")["metadata"]["labels"].items()
        )
    for route in (each for each in rendered.manifests if each["kind"] in ("Ingress", "HTTPRoute")):
        assert backends(route) <= {(rendered.name, port[key]) for port in service for key in ("name", "port")}


def backends(route: dict[str, Any]) -> set[tuple[str, str | int]]:
    """Return the Services' names and ports (by name or number) that the route leads to."""
    if route["kind"] == "HTTPRoute":
        return {(each["name"], each["port"]) for rule in route["spec"]["rules"] for each in rule["backendRefs"]}
    services = [path["backend"]["service"] for rule in route["spec"]["rules"] for path in rule["http"]["paths"]]
    return {(each["name"], each["port"]["name"]) for each in services}


def test_every_mounted_volume_and_its_source_exist(rendered: Rendered) -> None:
    there = {each["name"]: each for each in volumes(rendered)}
    mounted = {each["name"] for each in rendered.container["volumeMounts"]}
    of_the_hubs_pod = set() if rendered.has("Deployment") else {"pvc"}

    assert mounted == set(there) | of_the_hubs_pod
    assert {each["configMap"]["name"] for each in there.values() if "configMap" in each} <= names(rendered, "ConfigMap")
    assert {each["secret"]["secretName"] for each in there.values() if "secret" in each} <= FROM_ELSEWHERE


def test_every_config_map_and_secret_of_the_variables_exists(rendered: Rendered) -> None:
    sources = rendered.container["envFrom"]
    single = [each["valueFrom"]["secretKeyRef"] for each in rendered.container.get("env", []) if "valueFrom" in each]
    secrets = {each["secretRef"]["name"] for each in sources if "secretRef" in each}
    secrets |= {each["name"] for each in single}

    assert {each["configMapRef"]["name"] for each in sources if "configMapRef" in each} <= names(rendered, "ConfigMap")
    assert secrets <= names(rendered, "Secret") | FROM_ELSEWHERE


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ((), 10 + 5),
        (("--set-json", "settings.drain_s=29.5"), 30 + 5),
        (("--set", "database.type=postgresql,existingSecret=s"), 5 + 10 + 5),
        (("--set", "database.type=postgresql,existingSecret=s,preStopS=20"), 20 + 10 + 5),
    ],
)
def test_a_pods_grace_period_covers_the_pause_the_drain_and_some_more(
    helms: dict[str, Helm], given: tuple[str, ...], seconds: int
) -> None:
    assert helms["4"].rendered(*HUB, *given).pod["terminationGracePeriodSeconds"] == seconds
