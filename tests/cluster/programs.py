"""kube-apiserver and etcd: those on PATH or, on Debian 12 as root, etcd as packaged and an apiserver built from source.

No package registry has a kube-apiserver as a program. Debian 12 has the whole source of version 1.20.2; later releases
of Debian have only that of kubectl. Building takes about ten minutes, once: `.cluster-test` keeps the program.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.debian import Missing, install, may_install

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".cluster-test"
VERSION = "1.20.2"
"""The version of Debian's source package, 1.20.5+really1.20.2."""
SUITE = "bookworm"
ADVICE = (
    "There is no Kubernetes API to install the chart into. Put kube-apiserver and etcd on PATH, or run this as root on "
    "Debian 12, which has the source of one."
)
_GO = Path("/usr/lib/go-1.19/bin")
_TOOLS = ("golang-1.19-go", "dpkg-dev", "make", "rsync", "patch", "xz-utils")
_BUILD_WITHIN_S = 3600


@dataclass(frozen=True)
class Programs:
    """The programs that an API needs."""

    apiserver: Path
    etcd: Path


def find_programs(state: Path = STATE) -> Programs:
    """Return the programs on PATH, or Debian's; `state` keeps the program that is built. Raises Missing."""
    apiserver = Path(shutil.which("kube-apiserver") or state / f"kube-apiserver-{VERSION}")
    if not apiserver.exists():
        _build(apiserver)
    return Programs(apiserver, _etcd())


def _etcd() -> Path:
    if shutil.which("etcd") is None:
        _must_be_debian()
        install("etcd-server", advice=ADVICE)
    found = shutil.which("etcd")
    if found is None:
        raise Missing(ADVICE)
    return Path(found)


def _must_be_debian() -> None:
    if not may_install() or f"VERSION_CODENAME={SUITE}" not in Path("/etc/os-release").read_text().splitlines():
        raise Missing(ADVICE)


def _build(program: Path) -> None:
    _must_be_debian()
    install(*_TOOLS, advice=ADVICE)
    program.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=program.parent, prefix="build-") as aside:
        source = _source(Path(aside))
        sys.stderr.write(f"Building kube-apiserver {VERSION}, which takes about ten minutes ...\n")
        variables = {
            "PATH": f"{_GO}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": aside,
            "GOCACHE": f"{aside}/go-cache",
            "GOFLAGS": "-mod=vendor",
            "CGO_ENABLED": "0",
            "FORCE_HOST_GO": "y",
            "KUBE_GIT_VERSION": f"v{VERSION}",
        }
        _run("make", "WHAT=cmd/kube-apiserver", cwd=source, env=variables, timeout_s=_BUILD_WITHIN_S)
        [built] = source.glob("_output/local/bin/*/*/kube-apiserver")
        built.replace(program)


def _source(directory: Path) -> Path:
    """Return Debian's source of Kubernetes, with Debian's patches, from this machine's apt mirror."""
    listed = directory / "sources.list"
    listed.write_text(f"deb-src {_mirror()} {SUITE} main\n")
    lists = directory / "lists"
    (lists / "partial").mkdir(parents=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={listed}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    apt += ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"]
    _run(*apt, "update", cwd=directory)
    _run(*apt, "source", "kubernetes", cwd=directory)
    [source] = (each for each in directory.glob("kubernetes-*") if each.is_dir())
    if not source.name.endswith(VERSION):
        raise Missing(f"Debian's source of Kubernetes is {source.name}, not {VERSION}. {ADVICE}")
    return source


def _mirror() -> str:
    paths = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in paths if path.suffix in {".list", ".sources"} and path.is_file())
    found = re.search(r"^(?:URIs: *|deb (?:\[.*?\] )?)(\S*debian\S*)", text, re.MULTILINE)
    if found is None:
        raise Missing(f"apt is set up with no mirror of Debian. {ADVICE}")
    return found[1]


def _run(*command: str, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 600) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env if env is not None else os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise Missing(f"{' '.join(command)} -> {done.returncode}\n{done.stdout[-3000:]}\n{ADVICE}")


def main() -> None:
    """Print the paths of the programs, after building or installing those that are missing."""
    try:
        programs = find_programs()
    except Missing as error:
        sys.exit(str(error))
    sys.stdout.write(f"{programs.apiserver}\n{programs.etcd}\n")


if __name__ == "__main__":
    main()
