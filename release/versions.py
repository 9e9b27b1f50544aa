"""The version of a release: pyproject.toml has it, and every other file must agree."""

import re
import sys
import tomllib
from pathlib import Path

NAMED_IN = {
    "helm/Chart.yaml": (r"^version: (.+)$", r'^appVersion: "(.+)"$'),
    "Dockerfile": (r'image\.version="(.+)"',),
    "helm/README.md": (r"hublaunch:(\d[\w.]*) ",),
    "docs/beside-z2jh.md": (r"hublaunch:(\d[\w.]*)$",),
    "docs/install.md": (r"hublaunch(?:-chart|-image)?[-:](\d+\.\d+\.\d+)",),
}
"""The files that name the version, with the patterns that find it."""


def version(root: Path) -> str:
    """Return the version of the project."""
    found: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return found


def differing(root: Path) -> list[str]:
    """Return a line for each place that names another version, and for each pattern that finds none."""
    wanted, lines = version(root), []
    for name, patterns in NAMED_IN.items():
        text = (root / name).read_text()
        for pattern in patterns:
            found = set(re.findall(pattern, text, re.MULTILINE))
            if found != {wanted}:
                lines.append(f"{name}: {', '.join(sorted(found)) or 'no version'} instead of {wanted}")
    return lines


def check_versions(root: Path) -> None:
    """End the program with a list of the places that name another version."""
    if lines := differing(root):
        sys.exit("\n".join(("The version differs from that in pyproject.toml:", *lines)))
