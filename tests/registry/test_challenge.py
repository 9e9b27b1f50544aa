"""The header WWW-Authenticate, as registries write it, and as they should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hublaunch.registry.challenge import challenges

REALM = "https://a/t"


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ('Bearer realm="https://a/t",service="s"', [("bearer", {"realm": REALM, "service": "s"})]),
        ('Bearer realm="https://a/t" , scope=""', [("bearer", {"realm": REALM, "scope": ""})]),
        ('Bearer realm="https://a/t",service="s, t"', [("bearer", {"realm": REALM, "service": "s, t"})]),
        ('Bearer realm="https://a/t", Basic realm="b"', [("bearer", {"realm": REALM}), ("basic", {"realm": "b"})]),
        ("BASIC Realm=registry", [("basic", {"realm": "registry"})]),
        ('Basic realm="a \\"b\\""', [("basic", {"realm": 'a "b"'})]),
        ("Negotiate", [("negotiate", {})]),
        ('Bearer realm="open', [("bearer", {})]),
        ('="', []),
        ("", []),
    ],
)
def test_a_challenge_is_parsed(header: str, parsed: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in challenges([header])] == parsed


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_header_is_parsed(headers: list[str]) -> None:
    assert all(one.scheme for one in challenges(headers))
