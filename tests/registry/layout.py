"""An OCI image layout: an image for two platforms, as small as an image can be.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
PLATFORMS = ("amd64", "arm64")


def write_layout(directory: Path) -> str:
    """Write an index of an image for PLATFORMS, and return the digest of the index."""
    (directory / "blobs/sha256").mkdir(parents=True)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    manifests = [
        _blob(directory, _manifest(directory, name), MANIFEST) | {"platform": {"os": "linux", "architecture": name}}
        for name in PLATFORMS
    ]
    index = _blob(directory, _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}), INDEX)
    (directory / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [index]}))
    digest: str = index["digest"]
    return digest


def _manifest(directory: Path, architecture: str) -> bytes:
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    root = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]}
    config = _json({"os": "linux", "architecture": architecture, "config": {}, "rootfs": root})
    layers = [_blob(directory, gzip.compress(layer.getvalue(), mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")]
    described = _blob(directory, config, "application/vnd.oci.image.config.v1+json")
    return _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers})


def _blob(directory: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (directory / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
