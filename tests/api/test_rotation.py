"""A new secret key: launches from before it stay open to their visitors, and the earlier key opens nothing later."""

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
SCOPE = "access:services!service=hublaunch"


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


async def test_a_launch_from_before_a_rotation_has_its_secret_and_token_until_the_key_is_taken_out(
    settings: Settings,
) -> None:
    async with serve(under(settings, EARLIER)) as service:
        accepted = await service.launch()
        await service.events(accepted["events_url"])
    async with serve(under(settings, NOW, EARLIER)) as service:
        after = await shown(service.http, accepted["id"], accepted["secret"])
    async with serve(under(settings, NOW)) as service:
        without = await shown(service.http, accepted["id"], accepted["secret"])

    assert after["token"]
    assert "token" not in without


async def test_an_earlier_key_makes_no_session(settings: Settings, hub: FakeHub) -> None:
    hub.create_user("ada")
    token = hub.tokens.add("ada", [SCOPE], "", None).token
    cookies = {
        key: f"{SESSION_COOKIE}={Sealer([key], purpose='sessions').seal(f'{SESSION_COOKIE}={token}').decode()}"
        for key in (EARLIER, NOW)
    }
    with_users = settings.model_copy(update={"access": ("hub",)})

    async with serve(under(with_users, NOW, EARLIER)) as service:
        told = {key: (await service.http.get("/session", headers={"Cookie": cookies[key]})).json() for key in cookies}

    assert (told[EARLIER]["kind"], told[NOW]["name"]) == ("anonymous", "ada")


@pytest.mark.parametrize("keys", [[NOW, EARLIER], [EARLIER, NOW]], ids=["before", "after"])
def test_replicas_in_the_midst_of_a_rotation_agree_on_each_launch(keys: list[str]) -> None:
    made_by_one = LaunchSecrets(keys).new_id()

    assert LaunchSecrets(keys[::-1]).of(made_by_one) == LaunchSecrets(keys[:1]).of(made_by_one)
    assert LaunchSecrets(keys[::-1]).opens(made_by_one, LaunchSecrets(keys[:1]).of(made_by_one))
    assert not LaunchSecrets(keys).opens(made_by_one, LaunchSecrets(keys[1:]).of(made_by_one))


def test_an_id_is_a_ulid_of_its_time_and_like_no_other() -> None:
    secrets, other = LaunchSecrets([NOW]), LaunchSecrets([NOW])
    ids = [secrets.new_id() for _ in range(1000)]

    assert len({*ids, *(other.new_id() for _ in range(1000))}) == 2000
    assert ids == sorted(ids)
    assert all(abs(ULID.from_str(each).datetime - datetime.now(UTC)) < timedelta(minutes=1) for each in ids)


def test_an_id_that_no_key_has_made_has_the_secret_of_the_first() -> None:
    launch_id = str(ULID())

    assert LaunchSecrets([NOW, EARLIER]).of(launch_id) == LaunchSecrets([NOW]).of(launch_id)
    assert not LaunchSecrets([NOW, EARLIER]).opens(launch_id, None)
