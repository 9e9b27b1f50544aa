"""The verdict on a launch, by the registry's answer and the operator's terms."""

import itertools

import pytest

from hublaunch.launch.errors import ImageAbsent, ImageUnchecked, ImageWrongPlatform
from hublaunch.launch.rules.preflight import PreflightTerms, RegistryAnswer, RegistryOutcome

UNKNOWN = [outcome for outcome in RegistryOutcome if outcome.is_unknown]
OFF, AUTO, REQUIRE = (PreflightTerms(mode=mode) for mode in ("off", "auto", "require"))
AUTO_ALIKE, REQUIRE_ALIKE = (PreflightTerms(mode=mode, pulls_alike=True) for mode in ("auto", "require"))


def verdict(terms: PreflightTerms, outcome: RegistryOutcome, *, was_ready: bool = False) -> type | None:
    refusal = terms.refusal(RegistryAnswer(outcome=outcome), was_ready=was_ready)
    return None if refusal is None else type(refusal)


def test_some_outcomes_say_nothing_about_the_image() -> None:
    known = {RegistryOutcome.FOUND, RegistryOutcome.ABSENT, RegistryOutcome.WRONG_PLATFORM}

    assert set(UNKNOWN) == set(RegistryOutcome) - known


@pytest.mark.parametrize(
    ("terms", "absent", "wrong_platform", "denied"),
    [
        (OFF, None, None, None),
        (AUTO, ImageAbsent, ImageWrongPlatform, None),
        (AUTO_ALIKE, ImageAbsent, ImageWrongPlatform, ImageAbsent),
        (REQUIRE, ImageAbsent, ImageWrongPlatform, ImageUnchecked),
        (REQUIRE_ALIKE, ImageAbsent, ImageWrongPlatform, ImageAbsent),
    ],
)
def test_an_image_that_cannot_be_pulled_is_refused(
    terms: PreflightTerms, absent: type | None, wrong_platform: type | None, denied: type | None
) -> None:
    assert verdict(terms, RegistryOutcome.FOUND) is None
    assert verdict(terms, RegistryOutcome.ABSENT) is absent
    assert verdict(terms, RegistryOutcome.WRONG_PLATFORM) is wrong_platform
    assert verdict(terms, RegistryOutcome.DENIED) is denied


@pytest.mark.parametrize("outcome", [one for one in UNKNOWN if one is not RegistryOutcome.DENIED])
def test_only_require_mode_refuses_unchecked_images_and_says_why(outcome: RegistryOutcome) -> None:
    answer = RegistryAnswer(outcome=outcome)

    assert [verdict(terms, outcome) for terms in (OFF, AUTO, AUTO_ALIKE)] == [None] * 3
    assert verdict(REQUIRE_ALIKE, outcome) is ImageUnchecked
    assert str(REQUIRE.refusal(answer, was_ready=False)) == f"It is unknown whether the image exists: {answer.reason}."


def test_auto_never_refuses_an_image_that_was_ready_lately() -> None:
    for terms, outcome in itertools.product((AUTO, AUTO_ALIKE), RegistryOutcome):
        assert verdict(terms, outcome, was_ready=True) is None


def test_require_refuses_an_image_that_was_ready_lately_but_is_gone() -> None:
    assert verdict(REQUIRE, RegistryOutcome.ABSENT, was_ready=True) is ImageAbsent
    assert verdict(REQUIRE, RegistryOutcome.BUSY, was_ready=True) is ImageUnchecked


def test_a_wrong_platform_is_named() -> None:
    answer = RegistryAnswer(outcome=RegistryOutcome.WRONG_PLATFORM, platforms=("linux/arm64", "linux/s390x"))

    assert "linux/arm64, linux/s390x" in str(AUTO.refusal(answer, was_ready=False))
