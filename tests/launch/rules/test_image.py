"""Images by their full names, and the patterns that allow them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.launch.rules.image import ImagePattern, ImageReference

DIGEST = "sha256:" + "0a" * 32
OTHER_DIGEST = "sha256:" + "0b" * 32

REGISTRIES = [
    "",
    "docker.io/",
    "index.docker.io/",
    "Quay.IO/",
    "localhost/",
    "a:5000/",
    "A/",
    "[::1]:5000/",
    "1.2.3.4/",
]
references = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(REGISTRIES),
    st.lists(
        st.sampled_from(["library", "python"])
        | st.from_regex(r"[a-z0-9]{1,6}(?:(?:\.|_|__|--)[a-z0-9]{1,3})?", fullmatch=True),
        min_size=1,
        max_size=4,
    ).map("/".join),
    st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    st.sampled_from(["", f"@{DIGEST}", f"@{OTHER_DIGEST}"]),
)


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12", "docker.io/library/python:3.12"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3.12@{DIGEST}", f"docker.io/library/python:3.12@{DIGEST}"),
        ("jupyter/base-notebook", "docker.io/jupyter/base-notebook:latest"),
        ("a/b/c", "docker.io/a/b/c:latest"),
        ("library/python", "docker.io/library/python:latest"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/python", "docker.io/library/python:latest"),
        ("Index.Docker.IO/jupyter/a", "docker.io/jupyter/a:latest"),
        ("quay.io/python", "quay.io/python:latest"),
        ("QUAY.io/jupyter/a:X", "quay.io/jupyter/a:X"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a:b", "localhost:5000/a:b"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("host:5000/a", "host:5000/a:latest"),
        ("Host/a", "HOST/a:latest"),
        ("[::1]:5000/image", "[::1]:5000/image:latest"),
        ("docker.io:443/python", "docker.io:443/python:latest"),
        ("quay.io", "docker.io/library/quay.io:latest"),
    ],
)
def test_an_image_has_the_full_name_that_docker_gives_it(image: str, full: str) -> None:
    assert str(ImageReference.parse(image)) == full


def test_a_reference_is_split_into_its_parts() -> None:
    reference = ImageReference.parse(f"localhost:5000/a/b:c@{DIGEST}")

    assert reference == ImageReference(registry="localhost:5000", repository="a/b", tag="c", digest=DIGEST)


def test_an_invalid_image_is_refused() -> None:
    with pytest.raises(ValueError, match="must be an image reference"):
        ImageReference.parse("quay.io/jupyter/../a")


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("*", "python"),
        ("*", f"quay.io/a/b:c@{DIGEST}"),
        ("*/*", "python"),
        ("*:latest", "quay.io/a/b"),
        ("*@sha256:*", f"quay.io/a/b@{DIGEST}"),
        ("python", "python"),
        ("python", "python:3.12"),
        ("python", f"python@{DIGEST}"),
        ("python", "docker.io/library/python"),
        ("docker.io/library/python", "python"),
        ("index.docker.io/python", "python"),
        ("python:3.*", "python:3.12"),
        ("python:3.1[0-3]", "python:3.12"),
        ("python:3.?", "python:3.9"),
        ("python:latest", "python"),
        (f"python@{DIGEST}", f"python@{DIGEST}"),
        ("python@sha256:*", f"python:3.12@{DIGEST}"),
        ("python:3.12@sha256:*", f"python:2.7@{DIGEST}"),
        ("python*", "python-slim"),
        ("jupyter/*", "jupyter/base-notebook"),
        ("docker.io/*", "python"),
        ("docker.io/*", "jupyter/base-notebook:x"),
        ("quay.io/*", "quay.io/jupyter/base-notebook"),
        ("Host/*", "HOST/a"),
        ("Quay.io/jupyter/*", "QUAY.IO/jupyter/a/b/c"),
        ("*/jupyter/*", "quay.io/jupyter/a"),
        ("*/jupyter/*", "jupyter/a"),
        ("*.example.org/a", "registry.example.org/a"),
        ("*:5000/a", "localhost:5000/a"),
        ("localhost:*/a", "localhost:5000/a"),
        ("[::1]:5000/*", "[::1]:5000/image"),
        ("[::1]:*/*", "[::1]:5000/image"),
    ],
)
def test_a_pattern_allows_every_spelling_of_its_images(pattern: str, image: str) -> None:
    assert ImagePattern.parse(pattern).matches(ImageReference.parse(image))


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("python", "quay.io/python"),
        ("python", "evil/python"),
        ("python", "python2"),
        ("python", "library.example.org/python"),
        ("python:3.*", "python"),
        ("python:3.*", "python:2.7"),
        ("python:3.*", f"python@{DIGEST}"),
        ("python:3.12", f"python:3.12@{DIGEST}"),
        ("python:*", f"python:3.12@{DIGEST}"),
        ("python@sha256:*", "python"),
        ("python@sha256:*", "python:3.12"),
        (f"python@{DIGEST}", f"python@{OTHER_DIGEST}"),
        (f"python:3.12@{DIGEST}", "python:3.12"),
        ("python:X", "python:x"),
        ("quay.io/*", "evil.example/quay.io/a"),
        ("quay.io/*", "quay.io.evil.example/a"),
        ("quay.io/*", "quay.io:444/a"),
        ("quay.io/*", "quay.io"),
        ("host/*", "Host/a"),
        ("*.example.org/a", "evil.example/x.example.org/a"),
        ("*.example.org/a", "example.org/a"),
        ("*/python", "quay.io/x/python"),
        ("docker.io/*", "docker.io.evil.example/python"),
        ("docker.io/*", "docker.io:443/python"),
        ("localhost:*/a", "localhost/a"),
        ("[::1]:5000/*", "1:5000/image"),
    ],
)
def test_a_pattern_does_not_allow_lookalikes_of_its_images(pattern: str, image: str) -> None:
    assert not ImagePattern.parse(pattern).matches(ImageReference.parse(image))


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        " ",
        "quay.io/a b",
        " quay.io/*",
        "quay.io/*\n",
        "/",
        "/python",
        "quay.io/",
        "quay.io//a",
        "https://quay.io/a",
        "python:",
        "python@",
        ":3",
        "@sha256:*",
        "python:[3",
        "python:3]",
        "python:[]",
        "python:[!]",
        "quay.io/[a/b]",
        "[::1]",
        "[[]",
    ],
)
def test_an_invalid_pattern_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^must .*[^.]$"):
        ImagePattern.parse(pattern)


@given(references)
def test_a_full_name_is_its_own_full_name(image: str) -> None:
    reference = ImageReference.parse(image)

    assert ImageReference.parse(str(reference)) == reference


@given(references)
def test_every_image_matches_its_own_full_name_as_a_pattern(image: str) -> None:
    reference = ImageReference.parse(image)

    assert ImagePattern.parse(str(reference)).matches(reference)
    assert ImagePattern.parse(image.partition("@")[0]).matches(reference) == (
        reference.digest is None or ":" not in image.partition("@")[0].rpartition("/")[2]
    )


@given(references, st.sampled_from(["python", "docker.io/library/python*", "Index.docker.io/python", "library/python"]))
def test_no_image_of_another_repository_is_ever_allowed(image: str, pattern: str) -> None:
    reference = ImageReference.parse(image)

    if ImagePattern.parse(pattern).matches(reference):
        assert reference.registry == "docker.io"
        assert reference.repository.startswith("library/python")


@given(st.text("a/:@.*?[]!pythonlibrary", max_size=40))
def test_any_text_is_either_a_pattern_or_refused(pattern: str) -> None:
    try:
        parsed = ImagePattern.parse(pattern)
    except ValueError:
        return

    parsed.matches(ImageReference.parse("python"))


@pytest.mark.parametrize(
    "pattern", ["*a" * 200 + "*b", "*" * 400 + "b", "?*" * 200 + "b", "*[a-z]" * 60 + "!", "*a*?b" * 90]
)
def test_every_pattern_matches_the_longest_image_quickly(pattern: str) -> None:
    reference = ImageReference.parse("a" * 512)
    parsed = ImagePattern.parse(pattern)
    began = time.process_time()

    assert not parsed.matches(reference)

    assert time.process_time() - began < 0.5
