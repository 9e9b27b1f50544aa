"""`helm install` beside a Kubernetes API: the notes for the operator, and the objects that a second install finds."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from tests.chart.cluster import NAMESPACE, Cluster, running_cluster
from tests.chart.helm import CHART, Helm
from tests.chart.rendered import Rendered

MINIMUM = ("--set", "settings.hub_url=https://hub.example.org/")


@pytest.fixture
async def cluster() -> AsyncGenerator[Cluster]:
    async with running_cluster() as cluster:
        yield cluster


async def install(helm: Helm, cluster: Cluster, directory: Path, *given: str) -> tuple[Rendered, str]:
    """Return the manifests that helm would create, and its notes. Raises AssertionError if helm fails.

    kmock does not know helm's own records, which are protobuf. With its records in memory, helm asks the API for the
    kinds it knows and the objects it has, and creates nothing.
    """
    records = directory / "records.yaml"
    records.write_text("[]")
    variables = {
        "KUBECONFIG": str(cluster.kubeconfig(directory / "kubeconfig")),
        "HELM_DRIVER": "memory",
        "HELM_MEMORY_DRIVER_DATA": str(records),
    }
    command = ("install", "hublaunch", str(CHART), "--namespace", NAMESPACE, "--output", "json", *given)
    done = await asyncio.to_thread(helm, *command, **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    release = json.loads(done.stdout)
    return Rendered([each for each in yaml.safe_load_all(release["manifest"]) if each]), release["info"]["notes"]


async def test_the_notes_repeat_the_values_for_z2jh_word_for_word(
    helm: Helm, cluster: Cluster, values: Path, tmp_path: Path
) -> None:
    rendered, notes = await install(helm, cluster, tmp_path, "--values", str(values))

    told = rendered.named("ConfigMap", f"{rendered.name}-z2jh")["data"]["values.yaml"]
    assert indent(told, " " * 5, lambda _: True).rstrip() in notes


NOTES = {
    "": (
        "settings.allowed_images is empty, so every launch will be refused",
        "kubectl exec -n jhub deploy/hublaunch -c hublaunch -- hublaunch doctor",
        "--version YOUR-VERSION -n jhub --reuse-values -f hublaunch-z2jh.yaml",
        "all callers behind a proxy count as one address",
        "set singleuser.storage.type to none",
        "if you use singleuser.profileList, keep hub.extraConfig.hublaunch from the values above",
    ),
    "persistence.enabled=false": ("launches and the way into their servers are lost with the pod",),
    "ingress.enabled=true,ingress.hosts={launch.example.org}": ("at https://launch.example.org/",),
    "shape=hub-service": ("at /services/hublaunch/",),
    "shape=extra-container": (
        "kubectl exec -n jhub deploy/hub -c hublaunch -- hublaunch doctor",
        "With postgres or mysql, the pod would not start",
    ),
    "settings.allow_named_servers=true": (
        "needs hub.allowNamedServers from the values above",
        "hub:\n       allowNamedServers: true\n",
    ),
}


@pytest.mark.parametrize(("given", "wanted"), NOTES.items())
async def test_the_notes_say_what_to_do_next_and_where(
    helms: dict[str, Helm], cluster: Cluster, tmp_path: Path, given: str, wanted: Sequence[str]
) -> None:
    _, notes = await install(helms["4"], cluster, tmp_path, *MINIMUM, "--set", given)

    assert [note for note in wanted if note not in notes] == []


async def test_the_secret_key_is_generated_once(helm: Helm, cluster: Cluster, tmp_path: Path) -> None:
    first, _ = await install(helm, cluster, tmp_path, *MINIMUM)
    await cluster.create(first.only("Secret"))

    second, _ = await install(helm, cluster, tmp_path, *MINIMUM, "--set", "settings.drain_s=20")

    key = first.only("Secret")["data"]["LAUNCHER_SECRET_KEY"]
    assert len(base64.b64decode(key)) == 48
    assert second.only("Secret")["data"]["LAUNCHER_SECRET_KEY"] == key
    assert second.environment["LAUNCHER_DRAIN_S"] == "20"
