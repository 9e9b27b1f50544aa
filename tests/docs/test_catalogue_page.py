"""The examples of docs/catalogue.md: the file, profiles that fit its sizes, and the Hub's check of overrides."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from tornado.web import HTTPError
from traitlets.config import Config

from hublaunch.doctor.profiles import examine_profiles
from hublaunch.files.catalogue import read_catalogue
from hublaunch.settings import Settings
from tests.docs.pages import DOCS, blocks

PAGE = DOCS / "catalogue.md"
CATALOGUE, SIZE_WITH_PROFILE, Z2JH, SIZE_WITH_OVERRIDE = (
    block.text for block in blocks(PAGE) if block.language == "yaml"
)
[CONFIGURATION] = (block.text for block in blocks(PAGE) if block.language == "python")


@pytest.mark.parametrize("text", [CATALOGUE, SIZE_WITH_PROFILE, SIZE_WITH_OVERRIDE])
def test_each_example_of_the_file_is_valid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)

    assert read_catalogue(path).sizes


def test_the_profiles_in_the_example_fit_the_size(settings: Settings, tmp_path: Path) -> None:
    catalogue, values = tmp_path / "catalogue.yaml", tmp_path / "values.yaml"
    catalogue.write_text(SIZE_WITH_PROFILE)
    values.write_text(json.dumps(yaml.safe_load(Z2JH) | {"hub": {"extraConfig": {"hublaunch": "…"}}}))

    [finding] = examine_profiles(settings.model_copy(update={"catalogue_file": catalogue}), values)

    assert finding.state == "ok"


def spawner(*groups: str) -> Any:
    return SimpleNamespace(user=SimpleNamespace(groups=[SimpleNamespace(name=name) for name in groups]), cpu_limit=None)


def test_the_hubs_check_allows_exactly_the_overrides_of_the_users_groups() -> None:
    names: dict[str, Any] = {"c": Config()}
    exec(CONFIGURATION, names)
    apply_size = names["apply_size"]
    anybody, member = spawner(), spawner("staff")
    large = {"cpu_limit": 4, "mem_limit": "16G"}

    apply_size(anybody, {"image": "python"})
    apply_size(member, {"spawner_override": large})

    assert (anybody.cpu_limit, member.cpu_limit, member.mem_limit) == (None, 4, "16G")
    for override in (large, {"cpu_limit": 1}, {"cpu_limit": 1, "mem_limit": "2G", "cmd": ["sh"]}, {}, "cmd"):
        with pytest.raises(HTTPError, match="size not allowed"):
            apply_size(anybody, {"spawner_override": override})
