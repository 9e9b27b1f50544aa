"""The Docker config.json: which images its credentials are for, and a file that cannot be used."""

import base64
import json
import logging
from pathlib import Path

import pytest

from hublaunch.launch.rules.image import ImageReference
from hublaunch.registry.credentials import RegistryConfig, RegistryConfigFault
from tests.registry.real import write_config


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


def config(path: Path, **auths: object) -> RegistryConfig:
    (path / "config.json").write_text(json.dumps({"auths": auths, "credsStore": "desktop"}))
    return RegistryConfig(path / "config.json")


@pytest.mark.parametrize(
    ("place", "image", "is_for"),
    [
        ("quay.io", "quay.io/org/image", True),
        ("https://quay.io", "quay.io/org/image", True),
        ("https://quay.io/v2/", "quay.io/org/image", True),
        ("QUAY.IO", "quay.io/org/image", True),
        ("quay.io/org", "quay.io/org/image", True),
        ("quay.io/org", "quay.io/organization/image", False),
        ("quay.io/org/image", "quay.io/org/image:1", True),
        ("https://index.docker.io/v1/", "python", True),
        ("docker.io", "org/image", True),
        ("registry.example.org", "registry.example.org:5000/image", False),
        ("registry.example.org:5000", "registry.example.org:5000/image", True),
        ("*.example.org", "a.example.org/image", True),
        ("*.example.org", "a.b.example.org/image", False),
        ("*.example.org", "example.org/image", False),
        ("quay.io", "evil.io/org/image", False),
        ("quay", "quay.io/org/image", False),
    ],
)
def test_credentials_are_for_the_images_of_their_place(tmp_path: Path, place: str, image: str, is_for: bool) -> None:
    found = config(tmp_path, **{place: {"username": "u", "password": "p"}}).of(ImageReference.parse(image))

    assert found == (basic("u:p") if is_for else None)


def test_the_credentials_of_the_longest_path_win(tmp_path: Path) -> None:
    entries = {"quay.io": {"auth": "YTox"}, "quay.io/org/team": {"auth": "Yzoz"}, "quay.io/org": {"auth": "Yjoy"}}
    found = config(tmp_path, **entries)

    images = ["quay.io/other/x", "quay.io/org/x", "quay.io/org/team/x"]
    assert [found.of(ImageReference.parse(image)) for image in images] == [basic("a:1"), basic("b:2"), basic("c:3")]


def test_an_entry_that_cannot_be_used_is_logged_without_its_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = {"a.io": {"identitytoken": "s3cr3t"}, "b.io": {}, "c.io": {"auth": "s3cr3t!"}, "d.io": {"auth": "YQ=="}}
    with caplog.at_level(logging.WARNING):
        found = config(tmp_path, **entries)

    assert not any(found.of(ImageReference.parse(f"{host}/x")) for host in entries)
    assert [record.getMessage().count("has no user name and password for") for record in caplog.records] == [1] * 4
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": {"quay.io": "hunter2"}}', "\udcff"])
def test_a_file_that_is_not_a_config_is_a_fault_that_does_not_repeat_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(RegistryConfigFault, match=r"config\.json is not a Docker config\.json") as fault:
        RegistryConfig(path)

    assert "hunter2" not in str(fault.value)
    assert fault.value.__cause__ is None


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RegistryConfigFault, match="cannot be read: No such file"):
        RegistryConfig(tmp_path / "config.json")


def test_changed_credentials_are_used_and_a_broken_file_leaves_the_previous_ones(tmp_path: Path) -> None:
    path, image = tmp_path / "config.json", ImageReference.parse("quay.io/x")
    found = RegistryConfig(write_config(path, "quay.io", password="old"))
    write_config(path, "quay.io", password="changed")
    changed = found.of(image)
    path.write_text("{")

    assert changed == basic("puller:changed")
    assert found.of(image) == changed
    assert b"puller" not in repr(found._file.content).encode()
    assert base64.b64encode(b"puller:changed").decode() not in repr(found._file.content)
