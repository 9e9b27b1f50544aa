import pytest

from hublaunch.sealing import SealedWithAnotherKey, Sealer


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(["0123456789abcdef0123456789abcdef"], purpose="stored tokens")


def test_a_sealed_text_opens_with_the_same_key(sealer: Sealer) -> None:
    again = Sealer(["0123456789abcdef0123456789abcdef"], purpose="stored tokens")

    assert again.open(sealer.seal("a token with ü")) == "a token with ü"


def test_two_seals_of_one_text_differ_and_reveal_nothing(sealer: Sealer) -> None:
    first, second = sealer.seal("a-token"), sealer.seal("a-token")

    assert first != second
    assert b"a-token" not in first


def test_another_key_does_not_open_a_sealed_text_and_the_error_names_the_setting(sealer: Sealer) -> None:
    sealed = sealer.seal("a-token")

    with pytest.raises(SealedWithAnotherKey, match="LAUNCHER_SECRET_KEY") as refusal:
        Sealer(["another key, and a long one as well"], purpose="stored tokens").open(sealed)

    assert "\n" not in str(refusal.value)
    assert "a-token" not in str(refusal.value)


def test_a_sealed_text_that_was_changed_does_not_open(sealer: Sealer) -> None:
    sealed = bytearray(sealer.seal("a-token"))
    sealed[20] ^= 1

    with pytest.raises(SealedWithAnotherKey):
        sealer.open(bytes(sealed))


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(sealer: Sealer) -> None:
    old, new = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
    rotated = Sealer([new, old], purpose="stored tokens")

    assert rotated.open(sealer.seal("a-token")) == "a-token"
    assert Sealer([new], purpose="stored tokens").open(rotated.seal("a-token")) == "a-token"


def test_a_text_sealed_for_one_purpose_does_not_open_for_another(sealer: Sealer) -> None:
    session = Sealer(["0123456789abcdef0123456789abcdef"], purpose="sessions")

    with pytest.raises(SealedWithAnotherKey):
        session.open(sealer.seal("a-token"))
