"""The images that the demo simulates, and the causes that hublaunch reads from their words."""

import pytest

from hublaunch.demo.images import SIMULATED_IMAGES, SimulatedImage, simulated_image
from hublaunch.launch.rules.causes import cause_of
from tests.support.told import steps_of


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("demo.hublaunch.example/slow", "slow"),
        ("demo.hublaunch.example/missing:latest", "missing"),
        (f"demo.hublaunch.example/no-room@sha256:{'0' * 64}", "no-room"),
        ("demo.hublaunch.example/slow-2", None),
        ("demo.hublaunch.example/slow/other", None),
        ("quay.io/demo.hublaunch.example/slow", None),
        (None, None),
        (["demo.hublaunch.example/slow"], None),
    ],
)
def test_only_images_of_the_demos_registry_are_simulated(image: object, name: str | None) -> None:
    simulated = simulated_image(image)

    assert (simulated and simulated.name) == name


@pytest.mark.parametrize(("name", "code"), [("missing", "image_not_found"), ("no-room", "no_room")])
def test_a_simulated_failure_has_its_cause(name: str, code: str) -> None:
    simulated = simulated_image(image := f"demo.hublaunch.example/{name}")
    assert simulated
    assert simulated.fails
    told = [
        f"2026-01-31T10:20:30Z [{event.kind}] {event.message.format(image=image, pod='demo/jupyter-ada')}"
        for event in simulated.events
    ]

    cause = cause_of(
        f"Spawn failed: pod demo/jupyter-ada did not start in {simulated.seconds} seconds!", steps_of(told)
    )

    assert cause.code == code


@pytest.mark.parametrize("simulated", SIMULATED_IMAGES, ids=lambda simulated: simulated.name)
def test_every_event_comes_in_order_and_a_second_before_the_end(simulated: SimulatedImage) -> None:
    times = [event.after_s for event in simulated.events]

    assert times == sorted(times)
    assert times[-1] <= simulated.seconds - 1
