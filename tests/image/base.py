"""A stand-in for the base image where no registry is reachable: Debian with a Python, under the official name."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.image.engine import Engine

ROOT = Path(__file__).parents[2]
WANTED = "3.12"
"""The PYTHON_VERSION of the Dockerfile; a test compares both."""
_LIBRARIES = (
    "ca-certificates,libssl3,libsqlite3-0,libffi8,libbz2-1.0,liblzma5,libreadline8,zlib1g,libncursesw6,libuuid1,"
    "libexpat1,netbase,tzdata"
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_DOCKERFILE = """\
FROM scratch
ADD os.tar /
COPY local /usr/local
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ldconfig && rm /var/cache/ldconfig/aux-cache
RUN printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' > /etc/pip.conf
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python3"]
"""


def python_version(engine: Engine, directory: Path) -> str:
    """Return the PYTHON_VERSION to build with: the Dockerfile's, or that of a stand-in, which this function builds.

    `directory` keeps the parts of the stand-in between runs.
    """
    if engine.has_registry:
        return WANTED
    prefix = _python_with_prefix_of_its_own()
    version = subprocess.run(
        [prefix / "bin" / "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    _stand_in(engine, directory, prefix, version)
    return version


def _python_with_prefix_of_its_own() -> Path:
    """Return the prefix of a Python that shares it with nothing else, so that it can be copied to `/usr/local`."""
    pyenvs = sorted(Path.home().glob(f".pyenv/versions/{WANTED}.*"))
    own = Path(sys.base_prefix)
    if pyenvs:
        return pyenvs[-1]
    if own not in (Path("/usr"), Path("/usr/local")):
        return own
    raise RuntimeError(
        f"No registry answers, and no Python with a prefix of its own was found to build an image from. "
        f"Install one: `pyenv install {WANTED}` or `uv python install {WANTED}`."
    )


def _stand_in(engine: Engine, directory: Path, prefix: Path, version: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    system, local = directory / "os.tar", directory / "local"
    if not system.exists():
        draft = directory / "os.draft.tar"
        subprocess.run(
            ["mmdebstrap", "-q", "--variant=minbase", f"--include={_LIBRARIES}", _release(), draft, *_mirror()],
            check=True,
        )
        draft.rename(system)
    shutil.rmtree(local, ignore_errors=True)
    skipped = ("__pycache__", "test", "*.a", f"config-{version}*", "*.pth", "idlelib", "2to3*", "*-config", "*-gdb.py")
    shutil.copytree(prefix, local, symlinks=True, ignore=shutil.ignore_patterns(*skipped))
    shutil.rmtree(local / "lib" / f"python{version}" / "site-packages")
    shutil.copytree(
        prefix / "lib" / f"python{version}" / "site-packages" / "pip",
        local / "lib" / f"python{version}" / "site-packages" / "pip",
    )
    for name in ("python", "python3"):
        (local / "bin" / name).unlink(missing_ok=True)
        (local / "bin" / name).symlink_to(f"python{version}")
    pip = local / "bin" / "pip"
    pip.write_text("#!/usr/local/bin/python\nfrom pip._internal.cli.main import main\nraise SystemExit(main())\n")
    pip.chmod(0o755)
    shutil.copy(_CERTIFICATES, directory)
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    engine("build", "--tag", f"python:{version}-slim", str(directory))


def _release() -> str:
    """Return the name of this machine's Debian release."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    assert found, "Debian names its release"
    return found[1]


def _mirror() -> Sequence[str]:
    """Return apt's mirror if it is configured where Debian's installers put it."""
    paths = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
    text = "\n".join(path.read_text() for path in paths if path.exists())
    return re.findall(r"^(?:URIs: *|deb (?:\[.*?\] )?)(\S+)", text, re.MULTILINE)[:1]
