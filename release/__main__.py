"""`make release`: write every file of a release to dist/, with the same bytes each time."""

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from release.archives import write_chart
from release.image import write_image
from release.versions import check_versions, version

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Check the versions, then build everything from the files of the last commit."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--without-image", action="store_true", help="build no container image")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="directory for the files")
    parser.add_argument("--sbom", type=Path, required=True, metavar="PROGRAM", help="the program cyclonedx-py")
    given = parser.parse_args()
    check_versions(ROOT)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct").strip())
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    given.to.mkdir(parents=True, exist_ok=True)
    for old in given.to.iterdir():
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="hublaunch-release-") as directory:
        tree = Path(directory, "tree")
        _export(tree)
        _write_packages(tree, given.to)
        write_chart(tree / "helm", given.to / f"hublaunch-chart-{version(ROOT)}.tgz", epoch)
        _write_sbom(tree, given.to / f"hublaunch-{version(ROOT)}.cdx.json", given.sbom)
        (given.to / f"hublaunch-{version(ROOT)}-requirements.txt").write_bytes(
            (tree / "requirements.lock").read_bytes()
        )
        if not given.without_image:
            write_image(tree, given.to / f"hublaunch-image-{version(ROOT)}.tar.gz", epoch)
    _write_sums(given.to)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _export(tree: Path) -> None:
    """Write the committed files to a directory, so that nothing else gets into a release."""
    if _git("status", "--porcelain"):
        sys.exit("There are uncommitted changes. Commit them, so that the release has a commit.")
    tree.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        with tarfile.open(fileobj=file) as files:
            files.extractall(tree, filter="data")


def _write_packages(tree: Path, to: Path) -> None:
    """Write the wheel and the sdist. Hatchling takes their times from SOURCE_DATE_EPOCH."""
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(to.resolve())]
    subprocess.run(build, cwd=tree, check=True)


def _write_sbom(tree: Path, to: Path, program: Path) -> None:
    """Write the list of the locked packages that the image contains, as CycloneDX."""
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", str(to.resolve())]
    subprocess.run([program.resolve(), "requirements", "requirements.lock", *options], cwd=tree, check=True)


def _write_sums(to: Path) -> None:
    """Write SHA256SUMS, as `sha256sum --check` reads it."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(to.iterdir())]
    (to / "SHA256SUMS").write_text("".join(lines))
    sys.stdout.write("".join(lines))


if __name__ == "__main__":
    main()
