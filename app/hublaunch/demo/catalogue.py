"""The demo's catalogue: environments with sizes, and one for each simulated image."""

import json
from pathlib import Path
from typing import Any

from hublaunch.demo.images import SIMULATED_IMAGES

_WARM = "scipy"
"""The environment with warm servers: the first one on the page."""
_ENVIRONMENTS: dict[str, Any] = {
    _WARM: {
        "title": "Scientific Python",
        "description": "NumPy, SciPy, pandas and Matplotlib in JupyterLab",
        "image": "quay.io/jupyter/scipy-notebook:latest",
        "content": "nbgitpuller",
        "open": "lab",
        "sizes": ["small", "large"],
    },
    "minimal": {
        "title": "Plain Python",
        "description": "JupyterLab and nothing else",
        "image": "quay.io/jupyter/minimal-notebook:latest",
        "content": "nbgitpuller",
        "open": "lab",
    },
}
_SIZES = {
    "small": {"title": "1 CPU, 2 GB", "user_options": {"profile": "small"}},
    "large": {"title": "4 CPUs, 16 GB", "user_options": {"profile": "large"}, "most": 2},
}


def write_catalogue(state: Path, *, warm: int) -> Path:
    """Write the catalogue into the demo's directory, and return its path. `warm`: servers that are kept ready."""
    simulated = {
        each.name: {"title": each.title, "description": f"{each.shows[0].upper()}{each.shows[1:]}", "image": each.image}
        for each in SIMULATED_IMAGES
    }
    environments = {**_ENVIRONMENTS, _WARM: _ENVIRONMENTS[_WARM] | {"warm": {"keep": warm}}, **simulated}
    path = state / "catalogue.json"
    path.write_text(json.dumps({"environments": environments, "sizes": _SIZES}, indent=2))
    return path
