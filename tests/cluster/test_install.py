"""The chart in a real Kubernetes API, from install to uninstall."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.cluster import NAMESPACE
from tests.chart.helm import MATRIX, Helm
from tests.cluster.api import Kubernetes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

MINIMUM = ("--set", "settings.hub_url=https://hub.example.org/,settings.allowed_images={quay.io/jupyter/*}")
YOUNGER = {"PodDisruptionBudget", "HorizontalPodAutoscaler"}
"""Kinds of the chart in a version that Kubernetes has only since 1.21 and 1.23."""
NOT_OF_KUBERNETES = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
"""Kinds that Kubernetes itself does not have."""
APPS = "apis/apps/v1"
EMPTY = "default"
"""A namespace without anything of hublaunch."""
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:hublaunch"


class Release:
    """The release `hublaunch` in the cluster."""

    def __init__(self, helm: Helm, kubernetes: Kubernetes, chart: Path, directory: Path) -> None:
        self._helm = helm
        self._chart = str(chart)
        self._kubeconfig = str(kubernetes.kubeconfig(directory / "kubeconfig"))

    def __call__(self, command: str, *given: str, with_chart: bool = False) -> str:
        """Return helm's output. Raises AssertionError if it fails."""
        chart = (self._chart,) if with_chart else ()
        arguments = (command, "hublaunch", *chart, "--namespace", NAMESPACE, *given)
        done = self._helm(*arguments, KUBECONFIG=self._kubeconfig)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def install(self, *given: str) -> str:
        return self("install", *MINIMUM, *given, with_chart=True)

    def upgrade(self, *given: str) -> str:
        return self("upgrade", *MINIMUM, *given, with_chart=True)

    def remove(self) -> None:
        self._helm("uninstall", "hublaunch", "--namespace", NAMESPACE, KUBECONFIG=self._kubeconfig)


@pytest.fixture
def release(helm: Helm, kubernetes: Kubernetes, chart: Path, tmp_path: Path) -> Generator[Release]:
    release = Release(helm, kubernetes, chart, tmp_path)
    yield release
    release.remove()
    kubernetes.remove_claims()


def deployment(kubernetes: Kubernetes) -> dict[str, Any]:
    [deployed] = kubernetes.objects("deployments", api=APPS)
    return deployed


def checksums(kubernetes: Kubernetes) -> dict[str, str]:
    """Return the annotations whose checksums restart the pods when their configuration changes."""
    annotations: dict[str, str] = deployment(kubernetes)["spec"]["template"]["metadata"]["annotations"]
    return annotations


def test_installed_objects_are_as_the_chart_renders_them(release: Release, kubernetes: Kubernetes) -> None:
    notes = release.install()

    pod = deployment(kubernetes)["spec"]["template"]["spec"]
    assert "hublaunch doctor" in notes
    assert pod["serviceAccountName"] == "hublaunch"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert deployment(kubernetes)["spec"]["strategy"]["type"] == "Recreate"
    [claim] = kubernetes.objects("persistentvolumeclaims")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_a_changed_setting_replaces_the_pods_and_a_rollback_restores_them(
    release: Release, kubernetes: Kubernetes
) -> None:
    release.install()
    first = checksums(kubernetes)

    release.upgrade("--set", "settings.max_queue=7")
    second = checksums(kubernetes)
    release("rollback", "1")
    third = checksums(kubernetes)

    assert second != first
    assert third == first


def test_an_upgrade_without_changes_keeps_the_pods_and_the_secrets(release: Release, kubernetes: Kubernetes) -> None:
    release.install()
    before, secrets = checksums(kubernetes), secrets_of(kubernetes)

    release.upgrade()

    assert checksums(kubernetes) == before
    assert secrets_of(kubernetes) == secrets


def secrets_of(kubernetes: Kubernetes) -> dict[str, Any]:
    """Return the data of secrets by name, without helm's own records."""
    found = kubernetes.objects("secrets")
    return {each["metadata"]["name"]: each["data"] for each in found if each["type"] != "helm.sh/release.v1"}


def test_an_uninstall_leaves_nothing_behind(release: Release, kubernetes: Kubernetes) -> None:
    release.install()

    release("uninstall")

    kinds = ("services", "configmaps", "serviceaccounts", "secrets")
    left = {(plural, each["metadata"]["name"]) for plural in kinds for each in kubernetes.objects(plural)}
    assert kubernetes.objects("deployments", api=APPS) == []
    assert left == {("serviceaccounts", "default")}
    assert not [claim for claim in kubernetes.objects("persistentvolumeclaims") if not is_to_go(claim)]


def is_to_go(claim: dict[str, Any]) -> bool:
    """Return whether a controller would remove the claim once no pod uses it."""
    return "deletionTimestamp" in claim["metadata"]


def test_an_uninstall_keeps_the_volume_claim_if_the_operator_says_so(release: Release, kubernetes: Kubernetes) -> None:
    release.install("--set", r"persistence.annotations.helm\.sh/resource-policy=keep")

    release("uninstall")

    [claim] = kubernetes.objects("persistentvolumeclaims")
    assert claim["metadata"]["name"] == "hublaunch"
    assert not is_to_go(claim)


@pytest.mark.parametrize(
    ("verb", "resource"), [("get", "secrets"), ("list", "pods"), ("create", "pods"), ("get", "configmaps")]
)
def test_the_service_account_has_no_rights(release: Release, kubernetes: Kubernetes, verb: str, resource: str) -> None:
    release.install()
    asked = {"user": ACCOUNT, "resourceAttributes": {"namespace": NAMESPACE, "verb": verb, "resource": resource}}

    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
    answer = kubernetes.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review).json()

    assert answer["status"]["allowed"] is False


@pytest.mark.parametrize("values", MATRIX, ids=lambda path: path.stem)
def test_the_api_accepts_everything_that_the_chart_renders(
    helms: dict[str, Helm], kubernetes: Kubernetes, values: Path
) -> None:
    rendered = helms["4"].rendered("--values", str(values))

    answers = [(manifest["kind"], dry_run(kubernetes, manifest)) for manifest in rendered.manifests]

    assert {kind for kind, answer in answers if answer == 404} <= YOUNGER | NOT_OF_KUBERNETES
    assert [(kind, answer) for kind, answer in answers if answer not in (201, 404)] == []


def dry_run(kubernetes: Kubernetes, manifest: dict[str, Any]) -> int | str:
    """Return the API's answer to a `kubectl create --dry-run=server`; 404 if it does not know the kind."""
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    kinds = kubernetes.ask("GET", root)
    known = kinds.json()["resources"] if kinds.status_code == 200 else []
    plurals = [each["name"] for each in known if each["kind"] == manifest["kind"] and "/" not in each["name"]]
    if not plurals:
        return 404
    body = {**manifest, "metadata": {**manifest["metadata"], "namespace": EMPTY}}
    answer = kubernetes.ask("POST", f"{root}/namespaces/{EMPTY}/{plurals[0]}?dryRun=All", json=body)
    return answer.status_code if answer.status_code < 400 else answer.text
