"""Checks of the rendered chart against Kubernetes' schemas and with checkov."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import MATRIX, ROOT, Helm
from tests.chart.tools import run

pytestmark = pytest.mark.chart_tools

VERSIONS = [f"1.{minor}" for minor in range(25, 38)]
OF_OPERATORS = {
    "unknown gateway.networking.k8s.io/v1 HTTPRoute",
    "unknown monitoring.coreos.com/v1 ServiceMonitor",
    "unknown monitoring.coreos.com/v1 PrometheusRule",
}
"""Kinds that Kubernetes itself does not have."""
SKIPPED = {
    "CKV_K8S_15": "A tag is never moved; so a pod starts again while the registry is down.",
    "CKV_K8S_11": "A limit on CPU slows a pod that has work while the node has none; requests share fairly.",
    "CKV_K8S_21": "The namespace is that of the release.",
    "CKV_K8S_35": "Settings are environment variables, secret ones too; no child process gets them.",
    "CKV_K8S_40": "uid 1000 is z2jh's for the Hub and the image's own; user namespaces are the cluster's to choose.",
    "CKV_K8S_43": "The digest is the operator's to name (image.digest); the chart cannot know it.",
}
"""The checks of checkov that the chart fails, each with the reason."""


def test_every_manifest_is_valid_from_the_oldest_kubernetes_to_the_newest(helms: dict[str, Helm]) -> None:
    manifests: dict[str, dict[str, Any]] = {}
    for values in MATRIX:
        rendered = helms["4"].rendered("--values", str(values))
        manifests |= {f"{values.stem} {position}": each for position, each in enumerate(rendered.manifests)}
        if not rendered.has("Deployment"):
            manifests[f"{values.stem} pod"] = hub_pod(rendered.z2jh)

    done = run("python", str(Path(__file__).with_name("validate.py")), *VERSIONS, given=json.dumps(manifests))

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == OF_OPERATORS


def hub_pod(z2jh: dict[str, Any]) -> dict[str, Any]:
    """Return a pod as z2jh makes it from these values."""
    spec = {"containers": z2jh["hub"]["extraContainers"], "volumes": z2jh["hub"].get("extraVolumes", [])}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub"}, "spec": spec}


def test_checkov_finds_only_faults_that_are_explained(helms: dict[str, Helm], tmp_path: Path) -> None:
    for values in MATRIX:
        manifests = helms["4"].rendered("--values", str(values)).manifests
        (tmp_path / values.name).write_text(yaml.safe_dump_all(manifests))

    done = run(
        "checkov",
        *("--framework", "kubernetes", "--directory", str(tmp_path)),
        *("--skip-download", "--quiet", "--compact", "--output", "json"),
    )

    found = {check["check_id"]: check["check_name"] for check in failed(done.stdout)}
    assert {number: name for number, name in found.items() if number not in SKIPPED} == {}
    assert set(found) == set(SKIPPED), "a reason for a check that nothing fails anymore"


def test_checkov_finds_no_fault_in_the_dockerfile() -> None:
    done = run(
        "checkov", "--framework", "dockerfile", "--file", str(ROOT / "Dockerfile"), "--skip-download", "-o", "json"
    )

    assert failed(done.stdout) == []


def failed(report: str) -> list[dict[str, str]]:
    told = json.loads(report)
    assert "results" in told, "checkov has looked at nothing"
    checks: list[dict[str, str]] = told["results"]["failed_checks"]
    return checks
