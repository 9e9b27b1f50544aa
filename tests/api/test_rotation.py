"""Rotating the secret key: earlier launches stay accessible, and the earlier key opens no later ones."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from ulid import ULID

from hublaunch.api.callers.sessions import SESSION_COOKIE
from hublaunch.api.launch_secrets import LaunchSecrets
from hublaunch.sealing import Sealer
from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.served import serve

EARLIER, NOW = "e" * 40, "n" * 40


def under(settings: Settings, key: str, *earlier: str) -> Settings:
    keys = {"secret_key": SecretStr(key), "old_secret_keys": tuple(map(SecretStr, earlier))}
    return settings.model_copy(update=keys)


async def shown(http: object, launch_id: str, secret: str) -> dict[str, object]:
    answer = await http.get(f"/launch/{launch_id}", headers={"X-Launch-Secret": secret})  # type: ignore[attr-defined]
    told: dict[str, object] = answer.json()
    return told


async def test_an_earlier_key_opens_no_later_launch(settings: Settings) -> None:
    async with serve(under(settings, NOW, EARLIER)) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
        forged = await shown(service.http, accepted["id"], LaunchSecrets([EARLIER]).of(accepted["id"]))
        own = await shown(service.http, accepted["id"], accepted["secret"])

    assert "username" not in forged
    assert "token" not in forged
    assert own["token"]


async def test_a_launch_keeps_its_secret_and_token_until_the_old_key_is_removed(settings: Settings) -> None:
    async with serve(under(settings, EARLIER)) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
    async with serve(under(settings, NOW, EARLIER)) as service:
        after = await shown(service.http, accepted["id"], accepted["secret"])
    async with serve(under(settings, NOW)) as service:
        without = await shown(service.http, accepted["id"], accepted["secret"])

    assert after["token"]
    assert "token" not in without


async def test_an_earlier_key_cannot_forge_sessions(settings: Settings, hub: FakeHub) -> None:
    token = hub.token_of("ada")
    cookies = {
        key: f"{SESSION_COOKIE}={Sealer([key], purpose='sessions').seal(f'{SESSION_COOKIE}={token}').decode()}"
        for key in (EARLIER, NOW)
    }
    with_users = settings.model_copy(update={"access": ("hub",)})

    async with serve(under(with_users, NOW, EARLIER)) as service:
        told = {key: (await service.http.get("/session", headers={"Cookie": cookies[key]})).json() for key in cookies}

    assert (told[EARLIER]["kind"], told[NOW]["name"]) == ("anonymous", "ada")


@pytest.mark.parametrize("keys", [[NOW, EARLIER], [EARLIER, NOW]], ids=["before", "after"])
def test_replicas_agree_on_secrets_during_a_rotation(keys: list[str]) -> None:
    made_by_one = LaunchSecrets(keys).new_id()

    assert LaunchSecrets(keys[::-1]).of(made_by_one) == LaunchSecrets(keys[:1]).of(made_by_one)
    assert LaunchSecrets(keys[::-1]).opens(made_by_one, LaunchSecrets(keys[:1]).of(made_by_one))
    assert not LaunchSecrets(keys).opens(made_by_one, LaunchSecrets(keys[1:]).of(made_by_one))


def test_ids_are_unique_ulids_of_their_time() -> None:
    secrets, other = LaunchSecrets([NOW]), LaunchSecrets([NOW])
    ids = [secrets.new_id() for _ in range(1000)]

    assert len({*ids, *(other.new_id() for _ in range(1000))}) == 2000
    assert ids == sorted(ids)
    assert all(abs(ULID.from_str(each).datetime - datetime.now(UTC)) < timedelta(minutes=1) for each in ids)


def test_an_id_of_an_unknown_key_uses_the_first_key() -> None:
    launch_id = str(ULID())

    assert LaunchSecrets([NOW, EARLIER]).of(launch_id) == LaunchSecrets([NOW]).of(launch_id)
    assert not LaunchSecrets([NOW, EARLIER]).opens(launch_id, None)
