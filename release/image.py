"""The container image as an archive for `docker load`, with the same bytes each time.

Docker writes the time of the build into files, layers and the image's configuration. Here every later time becomes that
of the release.
"""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.image.base import python_version
from tests.image.engine import Engine, running_engine

_STATE = Path(__file__).parents[1] / ".image-test"
_OF_ONE_BUILD = ("container", "container_config", "docker_version")
"""Members of the configuration that differ from build to build, and that no engine needs."""


def write_image(tree: Path, to: Path, epoch: int) -> None:
    """Build the image of this tree, with a running Docker engine or, as root on Debian, a temporary one."""
    tag = f"hublaunch:{to.name.removeprefix('hublaunch-image-').removesuffix('.tar.gz')}"
    with (
        running_engine(_STATE / "engine") as engine,
        tempfile.TemporaryDirectory(prefix="hublaunch-image-") as directory,
    ):
        saved = Path(directory, "saved.tar")
        _build(engine, tree, tag, epoch)
        engine("save", "--output", str(saved), tag)
        with gzip.GzipFile(filename="", fileobj=to.open("wb"), mode="wb", compresslevel=6, mtime=0) as out:
            rewrite(saved, out, tag, epoch)


def _build(engine: Engine, tree: Path, tag: str, epoch: int) -> None:
    python = python_version(engine, _STATE / "base")
    arguments = {"PYTHON_VERSION": python, "SOURCE_DATE_EPOCH": str(epoch)}
    options = [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
    engine("build", "--no-cache", "--tag", tag, *options, str(tree), timeout_s=1800)


def rewrite(saved: Path, out: Any, tag: str, epoch: int) -> None:
    """Write a saved image to `out` with the times of the release, so that layers and configuration have new digests."""
    with tarfile.open(saved) as source, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as target:
        (manifest,) = json.load(_member(source, "manifest.json"))
        names = []
        digests = []
        for name in manifest["Layers"]:
            with tempfile.TemporaryFile() as layer:
                _clamp(_member(source, name), layer, epoch)
                digests.append(hashlib.file_digest(_rewound(layer), "sha256").hexdigest())
                names.append(f"{digests[-1]}.tar")
                _add(target, names[-1], _rewound(layer), epoch)
        config = _config(json.load(_member(source, manifest["Config"])), digests, epoch)
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        _add(target, name, io.BytesIO(config), epoch)
        listed = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
        _add(target, "manifest.json", io.BytesIO(listed), epoch)


def _clamp(source: Any, target: Any, epoch: int) -> None:
    """Copy a layer. A file that is newer than the release gets the time of the release."""
    with (
        tarfile.open(fileobj=source) as layer,
        tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as out,
    ):
        for entry in layer:
            entry.mtime = min(int(entry.mtime), epoch)
            entry.pax_headers = {k: v for k, v in entry.pax_headers.items() if k not in ("mtime", "atime", "ctime")}
            out.addfile(entry, layer.extractfile(entry) if entry.isreg() else None)


def _config(config: dict[str, Any], digests: list[str], epoch: int) -> bytes:
    at = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = {name: value for name, value in config.items() if name not in _OF_ONE_BUILD}
    history = [{**step, "created": at} for step in kept.get("history", ())]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}
    return json.dumps({**kept, "created": at, "history": history, "rootfs": rootfs}, sort_keys=True).encode()


def _member(archive: tarfile.TarFile, name: str) -> Any:
    found = archive.extractfile(name)
    assert found is not None
    return found


def _rewound(file: Any) -> Any:
    file.seek(0)
    return file


def _add(archive: tarfile.TarFile, name: str, content: Any, epoch: int) -> None:
    entry = tarfile.TarInfo(name)
    content.seek(0, io.SEEK_END)
    entry.size, entry.mtime, entry.mode = content.tell(), epoch, 0o644
    archive.addfile(entry, _rewound(content))
