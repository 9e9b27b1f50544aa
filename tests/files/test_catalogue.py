"""The catalogue file: its contents, the lines of its faults, its schema, and the effect of changes."""

import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hublaunch.files.catalogue import CatalogueFault, CatalogueFile, catalogue_schema, read_catalogue
from hublaunch.launch.rules.catalogue import Environment, Size

TEXT = """
environments:
  scipy:
    title: {en: Scientific Python, de: Python für die Wissenschaft}
    description: >
      NumPy, SciPy and pandas
      in JupyterLab
    image: quay.io/org/scipy:2026-11-02
    content: nbgitpuller
    open: lab
    sizes: [small, large]
  plain:
    title: Plain
    image: python
    groups: [staff]
sizes:
  small: {title: "1 CPU, 2 GB", user_options: {profile: small}}
  large:
    title: "4 CPUs, 16 GB"
    user_options: {profile: large, spread: {zone: [a, b]}}
    groups: [staff]
    most: 10
"""
SMALL = Size(name="small", title={"": "1 CPU, 2 GB"}, user_options={"profile": "small"})
LARGE = Size(
    name="large",
    title={"": "4 CPUs, 16 GB"},
    user_options={"profile": "large", "spread": {"zone": ["a", "b"]}},
    groups=frozenset({"staff"}),
    most=10,
)
SCIPY = Environment(
    name="scipy",
    title={"en": "Scientific Python", "de": "Python für die Wissenschaft"},
    description={"": "NumPy, SciPy and pandas in JupyterLab"},
    image="quay.io/org/scipy:2026-11-02",
    content="nbgitpuller",
    open="lab",
    sizes=(SMALL, LARGE),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.yaml"
    path.write_text(TEXT)
    return path


def test_a_file_has_environments_and_sizes_in_the_operators_order(path: Path) -> None:
    catalogue = read_catalogue(path)

    plain = Environment(name="plain", title={"": "Plain"}, image="python", groups=frozenset({"staff"}))
    assert catalogue.environments == (SCIPY, plain)
    assert catalogue.sizes == (SMALL, LARGE)


def test_the_file_may_be_json(path: Path) -> None:
    as_yaml = read_catalogue(path)
    path.write_text(json.dumps(yaml.safe_load(TEXT)))

    assert read_catalogue(path) == as_yaml


def test_an_empty_object_is_an_empty_catalogue(path: Path) -> None:
    path.write_text("{}")

    assert (read_catalogue(path).environments, read_catalogue(path).sizes) == ((), ())


def environment(**changes: Any) -> str:
    return json.dumps({"environments": {"a": {"title": "A", "image": "python", **changes}}})


def size(**changes: Any) -> str:
    return json.dumps({"sizes": {"s": {"title": "S", **changes}}})


IN_SCHEMA_TOO = [
    ("[]", "line 1: the file: Input should be a valid dictionary"),
    ("environment: {}", "line 1: environment: Extra inputs are not permitted"),
    ("environments:\n  a:\n    title: A\n", "line 2: environments.a.image: Field required"),
    ("environments:\n  a:\n    image: python\n", "line 2: environments.a.title: Field required"),
    (
        "environments:\n  a:\n    title: A\n    image: python\n    cold: true\n",
        "line 5: environments.a.cold: Extra",
    ),
    (
        "environments:\n  A: {title: A, image: python}",
        "line 2: environments.A: must be a name of at most 64 characters",
    ),
    (f"environments: {{{'a' * 65}: {{title: A, image: python}}}}", "must be a name of at most 64 characters"),
    (environment(title=5), "environments.a.title: must be a text, or texts by language"),
    (environment(title={}), "environments.a.title: must be a text, or texts by language"),
    (environment(title=""), "environments.a.title: must have 1 to 100 printable characters"),
    (environment(title="x" * 101), "environments.a.title: must have 1 to 100 printable characters"),
    (environment(title={"en": 5}), "environments.a.title: must have 1 to 100 printable characters"),
    (environment(title={"english": "A"}), "environments.a.title: must have language tags such as en"),
    (environment(description="x" * 1001), "environments.a.description: must have 1 to 1000 printable characters"),
    (environment(content="clone"), "environments.a.content: Input should be 'nbgitpuller', 'spawner' or 'none'"),
    (environment(groups="staff"), "environments.a.groups: Input should be a valid tuple"),
    (environment(groups=[""]), "environments.a.groups.0: String should have at least 1 character"),
    (environment(sizes=["S"]), "environments.a.sizes.0: must be a name"),
    (size(most=-1), "sizes.s.most: Input should be greater than or equal to 0"),
    (size(most="5"), "sizes.s.most: Input should be a valid integer"),
    (size(user_options=[]), "sizes.s.user_options: Input should be a valid dictionary"),
]
"""Files that the schema refuses too, with words of the fault."""

IN_THE_FILE_ONLY = [
    ("", "line 1: the file: Input should be a valid dictionary"),
    ("environments:\n  a:\n    title: A\n    image: A B\n", "line 4: environments.a.image: must be an image reference"),
    ("sizes:\n  1: {title: A}", "line 2: sizes.1: Input should be a valid string"),
    ("sizes:\n  s: {title: A}\n  s: {title: B}", "line 2: s appears twice"),
    (
        "environments:\n  a: {title: {en: A, EN: B}, image: python}",
        "line 2: environments.a.title: must not have a language twice",
    ),
    (
        "environments:\n  a:\n    title: A\n    image: python\n    sizes:\n    - s\n",
        "line 6: environments.a.sizes.0: must be",
    ),
    (environment(title="\t"), "environments.a.title: must have 1 to 100 printable characters"),
    (environment(title="\u202e"), "environments.a.title: must have 1 to 100 printable characters"),
    (environment(open="../x"), "environments.a.open: must have no .."),
    (environment(open="lab?token=x"), "environments.a.open: must not have credentials"),
    (size(user_options={"image": "python"}), "sizes.s.user_options: must not set image, which hublaunch sets itself"),
    (size(user_options={"a": "x" * 16_384}), "sizes.s.user_options: must have at most 16384 bytes"),
    ("sizes:\n  s:\n    title: S\n    user_options: {a: 2026-01-01}", "line 4: sizes.s.user_options: must be JSON"),
    ("sizes:\n  s:\n    title: S\n    user_options: {a: .nan}", "line 4: sizes.s.user_options: must have only finite"),
    ("sizes:\n  s: &s {title: S, user_options: {a: *s}}", "sizes.s.user_options: must not be nested deeper"),
    (
        "environments:\n  a: {title: A, image: python, sizes: [s, s]}\nsizes: {s: {title: S}}",
        "line 2: environments.a.sizes: must not list a size twice",
    ),
    ("environments: [", "neither YAML nor JSON: line 1"),
    (2000 * "[", "nested too deeply"),
    ("#" + 2**20 * "x", "longer than 1 MiB"),
]


@pytest.mark.parametrize(("text", "words"), IN_SCHEMA_TOO + IN_THE_FILE_ONLY)
def test_a_fault_names_the_file_the_line_and_the_place_in_one_sentence(path: Path, text: str, words: str) -> None:
    path.write_text(text)

    with pytest.raises(CatalogueFault) as fault:
        read_catalogue(path)

    assert str(fault.value).startswith(f"The catalogue in {path} is ")
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(CatalogueFault, match="unreadable: No such file or directory"):
        CatalogueFile(path.with_name("no-such-file"))


def test_the_schema_is_valid_and_accepts_what_the_file_may_have() -> None:
    schema = catalogue_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (TEXT, "{}", environment(), size()):
        jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize("text", [text for text, _ in IN_SCHEMA_TOO])
def test_the_schema_refuses_what_it_can_see(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), catalogue_schema())


def test_a_change_applies_from_the_next_check_and_a_broken_one_changes_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = CatalogueFile(path)
    path.write_text(environment())
    with caplog.at_level(logging.INFO, logger="hublaunch.files.watched"):
        file.check()
        changed = file.report()
        path.write_text("environments:\n  a: {title: A}")
        file.check()
        broken = file.report()

    assert changed == {"environments": 1, "sizes": 0, "fault": None}
    assert [each.name for each in file.content.environments] == ["a"]
    assert "line 2: environments.a.image: Field required" in broken["fault"]
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert caplog.messages[1].endswith("Until this is fixed, the previous catalogue applies.")
