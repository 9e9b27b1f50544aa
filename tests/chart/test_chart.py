"""The chart, rendered with Helm 3 and 4 from the values in `values/`. `make chart-test`."""

import copy
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, MATRIX, Helm
from tests.chart.rendered import Rendered

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
WALL = CHART / "files" / "hub-wall.txt"


class Readable(yaml.SafeDumper):
    """Writes text of several lines as a block."""


Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def comparable(rendered: Rendered, values: Path) -> list[dict[str, Any]]:
    """Return the manifests as the golden files have them.

    They are sorted, without random parts, and without texts that have a file of their own.
    """
    manifests = copy.deepcopy(list(rendered.manifests))
    for manifest in manifests:
        if manifest["kind"] == "Secret" and "secret_key:" not in values.read_text():
            manifest["data"]["LAUNCHER_SECRET_KEY"] = "made at random"
        if manifest["kind"] == "PrometheusRule":
            manifest["spec"] = "helm/files/alerts.yaml"
        if manifest["metadata"]["name"].endswith("-grafana"):
            manifest["data"]["hublaunch.json"] = "helm/files/grafana.json"
        if manifest["metadata"]["name"].endswith("-z2jh"):
            told = yaml.safe_load(manifest["data"]["values.yaml"])
            configuration = told["hub"]["extraConfig"]
            configuration["hublaunch"] = configuration["hublaunch"].replace(
                WALL.read_text(), "helm/files/hub-wall.txt\n"
            )
            manifest["data"]["values.yaml"] = told
    return sorted(manifests, key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))


def test_each_values_file_renders_its_golden_file(helm: Helm, values: Path) -> None:
    golden = GOLDEN / values.name

    manifests = comparable(helm.rendered("--values", str(values)), values)

    if os.environ.get("WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(yaml.dump_all(manifests, Dumper=Readable, width=120, allow_unicode=True))
    assert manifests == list(yaml.safe_load_all(golden.read_text()))


def test_every_golden_file_has_a_values_file() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {path.name for path in MATRIX}


def test_the_chart_passes_a_strict_lint(helm: Helm, values: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(values))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_leaves_out_the_files_for_developers(helm: Helm, tmp_path: Path) -> None:
    done = helm("package", str(CHART), "--destination", str(tmp_path))

    assert done.returncode == 0, done.stderr
    [package] = tmp_path.iterdir()
    listed = subprocess.run(["tar", "-tzf", package], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in listed if name.endswith((".py", ".pyc"))]
    assert {"hublaunch/README.md", "hublaunch/values.schema.json", "hublaunch/files/grafana.json"} <= set(listed)


def test_changed_secret_settings_replace_the_pod_and_their_checksum_is_not_a_bare_hash(helm: Helm) -> None:
    def checksum(*given: str) -> str | None:
        template = helm.rendered("--values", str(HERE / "values" / "default.yaml"), *given).only("Deployment")["spec"][
            "template"
        ]
        found: str | None = template["metadata"]["annotations"].get("checksum/secret-settings")
        return found

    one, other = "secretSettings.hub_api_token=a-short-token", "secretSettings.hub_api_token=another-token"

    assert checksum() is None
    assert checksum("--set", one) == checksum("--set", one)
    assert checksum("--set", one) != checksum("--set", other)
    bare = hashlib.sha256(b'{"hub_api_token":"a-short-token"}').hexdigest()
    assert checksum("--set", one) != bare


@pytest.mark.parametrize(
    ("preflight", "images", "ports"),
    [
        ("auto", "{quay.io/*,python:3.*}", [443]),
        ("require", "{registry.example.org:5000/*,quay.io/*,[::1]:5001/*,a.b:5000/c:7}", [443, 5000, 5001]),
        ("off", "{registry.example.org:5000/*}", []),
    ],
)
def test_the_network_policy_opens_the_ports_of_registries(
    helm: Helm, preflight: str, images: str, ports: list[int]
) -> None:
    given = f"settings.hub_url=https://hub.example.org/,settings.preflight={preflight},settings.allowed_images={images}"
    policy = helm.rendered("--set", given).only("NetworkPolicy")
    anywhere = [port["port"] for rule in policy["spec"]["egress"] if "to" not in rule for port in rule["ports"]]

    assert [port for port in anywhere if port != 53] == ports
