"""The files of a release: one version, the same bytes each time."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hublaunch.settings import Settings
from release.archives import write_chart
from release.image import rewrite
from release.versions import NAMED_IN, differing, version

ROOT = Path(__file__).parents[2]
EPOCH = 1_750_000_000
PAGE = (ROOT / "docs" / "install.md").read_text()


def test_every_file_names_the_version_of_the_project() -> None:
    assert differing(ROOT) == []


def test_another_version_is_reported(tmp_path: Path) -> None:
    for name in (*NAMED_IN, "pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    chart = tmp_path / "helm" / "Chart.yaml"
    chart.write_text(chart.read_text().replace(f"version: {version(ROOT)}", "version: 9.9.9", 1))

    assert differing(tmp_path) == [f"helm/Chart.yaml: 9.9.9 instead of {version(ROOT)}"]


def test_the_chart_package_has_the_charts_files_and_no_programs(tmp_path: Path) -> None:
    first, second = tmp_path / "first.tgz", tmp_path / "second.tgz"

    write_chart(ROOT / "helm", first, EPOCH)
    write_chart(ROOT / "helm", second, EPOCH)

    with tarfile.open(first) as archive:
        entries = archive.getmembers()
    assert first.read_bytes() == second.read_bytes()
    assert entries[0].name == "hublaunch/Chart.yaml"
    assert {entry.mtime for entry in entries} == {EPOCH}
    names = {entry.name for entry in entries}
    assert {"hublaunch/values.yaml", "hublaunch/templates/deployment.yaml", "hublaunch/files/alerts.yaml"} <= names
    assert not any(name.endswith((".py", ".pyc")) or "__pycache__" in name for name in names)


def saved_image(path: Path, *, built_at: int) -> None:
    """Write an archive as `docker save` does, of an image built at this time."""

    def archive(files: dict[str, bytes], at: int) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime = len(content), at + 0.5
                out.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    base, own = archive({"etc/os-release": b"Debian"}, EPOCH - 100), archive({"opt/a.py": b"a = 1"}, built_at)
    config = {
        "created": str(built_at),
        "container": f"host-{built_at}",
        "config": {"User": "1000"},
        "history": [{"created": str(built_at), "created_by": "COPY"}],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:0", "sha256:1"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": ["hublaunch:1"], "Layers": ["0/layer.tar", "1/layer.tar"]}]
    files = {"0/layer.tar": base, "1/layer.tar": own}
    files |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(archive(files, built_at))


def test_two_builds_of_an_image_give_the_same_archive(tmp_path: Path) -> None:
    written = []
    for built_at in (EPOCH + 10, EPOCH + 9999):
        saved_image(tmp_path / "saved.tar", built_at=built_at)
        out = io.BytesIO()
        rewrite(tmp_path / "saved.tar", out, "hublaunch:1", EPOCH)
        written.append(out.getvalue())

    assert written[0] == written[1]
    with tarfile.open(fileobj=io.BytesIO(written[0])) as archive:
        (listed,) = json.loads(read(archive, "manifest.json"))
        config = json.loads(read(archive, listed["Config"]))
        content = read(archive, listed["Layers"][1])
    with tarfile.open(fileobj=io.BytesIO(content)) as layer:
        entries = [(entry.name, entry.mtime) for entry in layer]
    assert config["config"] == {"User": "1000"}
    assert config["rootfs"]["diff_ids"] == [f"sha256:{name.removesuffix('.tar')}" for name in listed["Layers"]]
    assert entries == [("opt/a.py", EPOCH)]


def read(archive: tarfile.TarFile, name: str) -> bytes:
    found: Any = archive.extractfile(name)
    content: bytes = found.read()
    return content


def test_the_unit_gives_the_service_the_time_that_it_needs_to_stop() -> None:
    unit = dict(re.findall(r"^(\w+)=(.+)$", PAGE.split("```ini\n")[1].split("```")[0], re.MULTILINE))
    drain_s = Settings(hub_url="http://127.0.0.1/", hub_api_token="t" * 8).drain_s

    assert int(unit["TimeoutStopSec"]) > drain_s
    assert unit["ExecStart"].startswith("/opt/hublaunch/bin/hublaunch serve ")


@pytest.mark.parametrize("kind", ["-py3-none-any.whl", "-requirements.txt", ".tar.gz", ".cdx.json"])
def test_the_page_names_the_files_of_a_release(kind: str) -> None:
    assert f"| `hublaunch-{version(ROOT)}{kind}` |" in PAGE
