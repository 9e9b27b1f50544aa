"""Archives with the same bytes each time: files in order, one time, no owner."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path


def write_chart(chart: Path, to: Path, epoch: int) -> None:
    """Write the chart's package, as `helm package` does, but with one time for all files."""
    ignored = (chart / ".helmignore").read_text().split()
    files = {
        f"hublaunch/{path.relative_to(chart)}": path.read_bytes()
        for path in chart.rglob("*")
        if path.is_file() and not any(_matches(path.relative_to(chart), pattern) for pattern in ignored)
    }
    del files["hublaunch/.helmignore"]
    to.write_bytes(gzipped(tar_of(files, epoch)))


def _matches(path: Path, pattern: str) -> bool:
    if pattern.endswith("/"):
        return pattern.rstrip("/") in path.parts
    return fnmatch(path.name, pattern)


def tar_of(files: Mapping[str, bytes], epoch: int) -> bytes:
    """Return an archive of these files by name. Chart.yaml comes first, as Helm wants it; the rest is sorted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files, key=lambda name: (not name.endswith("/Chart.yaml"), name)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(files[name]), epoch, 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def gzipped(content: bytes) -> bytes:
    """Return the content in gzip's format, without a name and a time."""
    return gzip.compress(content, compresslevel=9, mtime=0)
