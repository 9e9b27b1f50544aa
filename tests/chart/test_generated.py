"""The generated files of the chart are up to date. Needs no helm."""

from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from helm.generate import CHART, generated, secret_settings
from hublaunch.settings import Settings


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=lambda given: getattr(given, "name", ""))
def test_each_generated_file_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `make chart`"


def test_the_schema_knows_every_setting() -> None:
    schema = yaml.safe_load(generated()[CHART / "values.schema.json"])["properties"]

    assert set(schema["settings"]["properties"]) == set(Settings.model_fields)
    assert set(schema["secretSettings"]["properties"]) == secret_settings()


def test_secret_settings_include_keys_tokens_and_the_databases_url() -> None:
    assert {"hub_api_token", "secret_key", "old_secret_keys", "database_url"} <= secret_settings()


def test_the_chart_and_the_image_have_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (version("hublaunch"), version("hublaunch"))
    assert f'image.version="{version("hublaunch")}"' in (CHART.parent / "Dockerfile").read_text()
