"""JSON that every parser reads in the same way."""

from typing import Any

import pytest

from hublaunch.launch.rules.strict_json import DEPTH_MAX, json_fault


def nested(levels: int) -> Any:
    value: Any = "innermost"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**53) + 1, 1.5, -0.0, "", "ä €", "🧪\u200d", [], {}, {"a": [1, {"b": None}]}, nested(DEPTH_MAX)],
)
def test_valid_json_has_no_fault(value: object) -> None:
    assert json_fault(value, values_max=100) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (float("-inf"), "finite"),
        (2**53, "integer"),
        (-(10**4000), "integer"),
        ("a\0", "NUL"),
        ("\ud83e", "surrogate"),
        ({"\udc00": 1}, "surrogate"),
        ({1: "a key that is not text"}, "keys"),
        (b"bytes", "JSON"),
        ({1, 2}, "JSON"),
        (nested(DEPTH_MAX + 1), "deeper"),
        (nested(100_000), "deeper"),
        ([0] * 101, "values"),
        ([[]] * 101, "values"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("below", [False, True])
def test_the_fault_of_invalid_json_is_named(value: object, fault: str, below: bool) -> None:
    found = json_fault({"a": [value]} if below else value, values_max=100)

    assert found is not None
    assert fault in found


def test_a_list_that_contains_itself_is_refused() -> None:
    circle: list[object] = []
    circle += [circle, circle]

    assert json_fault(circle, values_max=10_000)
