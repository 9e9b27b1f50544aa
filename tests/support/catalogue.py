"""A small catalogue, as an operator writes it."""

from pathlib import Path

CATALOGUE = """
environments:
  scipy: {title: SciPy, image: quay.io/org/scipy, sizes: [small, large]}
sizes:
  small: {title: Small, user_options: {profile: small}}
  large: {title: Large, user_options: {profile: large}, most: 5}
"""


def catalogue_in(directory: Path) -> Path:
    """Write the catalogue into the directory, and return its path."""
    path = directory / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path
