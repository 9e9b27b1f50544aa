"""Access: what each kind of caller sees, and whose account a launch uses."""

import pytest

from hublaunch.settings import Settings
from tests.fakes.hub import FakeHub
from tests.support.callers import ADA, BOB, ROOT, CallerWorld
from tests.support.served import BODY, read_events, serve

CALLERS: list[tuple[str, bool, bool]] = [
    ("nobody", False, False),
    ("other user", False, False),
    ("key", False, False),
    ("key that may name users", False, False),
    ("wrong secret", False, False),
    ("that session, by a page elsewhere", False, False),
    ("admin", True, False),
    ("admin key", True, False),
    ("owner", True, True),
    ("session of the owner", True, True),
    ("secret", True, True),
]


async def test_callers_see_only_their_parts_of_a_launch(world: CallerWorld, subtests: pytest.Subtests) -> None:
    for caller, private, entry in CALLERS:
        with subtests.test(caller=caller):
            headers = world.headers[caller]

            launch = (await world.service.http.get(f"/launch/{world.launch_id}", headers=headers)).json()
            async with world.service.http.stream("GET", f"/launch/{world.launch_id}/events", headers=headers) as stream:
                ready = [event async for event in read_events(stream)][-1]

            for shown in (launch, ready):
                assert ("image" in shown) == private
                assert ("open_url" in shown) == entry
                assert ("token" in shown) == entry
            assert ("username" in launch) == private


@pytest.mark.parametrize(
    ("caller", "images"),
    [("nobody", ["*"]), ("owner", ["*"]), ("key", ["*"]), ("key for other images", ["example.org/*"])],
)
async def test_the_session_lists_the_callers_allowed_images(world: CallerWorld, caller: str, images: list[str]) -> None:
    session = (await world.service.http.get("/session", headers=world.headers[caller])).json()

    assert session["images"] == images
    assert session["access"] == ["anonymous", "hub", "invitation", "key"]


async def test_the_session_lists_no_images_where_a_login_is_required(settings_of_all: Settings) -> None:
    async with serve(settings_of_all, access=("hub",)) as service:
        session = (await service.http.get("/session")).json()

    assert (session["access"], session["images"]) == (["hub"], [])


async def test_an_anonymous_launch_is_private_to_its_secret_and_admins(world: CallerWorld) -> None:
    accepted = await world.service.launch()

    as_admin = (await world.service.http.get(f"/launch/{accepted['id']}", headers=world.headers["admin"])).json()
    again = (await world.service.http.get(f"/launch/{accepted['id']}")).json()

    assert "image" in as_admin
    assert "image" not in again


async def test_a_hub_users_launch_uses_their_account_without_a_new_token_or_user(
    world: CallerWorld, hub: FakeHub
) -> None:
    launch = (await world.service.http.get(f"/launch/{world.launch_id}", headers=world.headers["owner"])).json()

    assert (launch["username"], launch["server_name"], launch["token"]) == (ADA, "", None)
    assert launch["open_url"] == launch["url"] == f"{hub.url}user/ada/"
    assert sorted(hub.users) == [ADA, BOB, ROOT]
    assert hub.count("token_minted") == 0


async def test_the_refusal_for_a_running_server_has_its_urls(world: CallerWorld, hub: FakeHub) -> None:
    body = BODY | {"path": "git-pull?repo=https://github.com/org/course"}
    answer = await world.service.http.post("/launch", json=body, headers=world.headers["owner"])

    assert answer.json()["code"] == "server_already_running"
    assert answer.json()["url"] == f"{hub.url}user/ada/"
    assert answer.json()["open_url"] == f"{hub.url}user/ada/git-pull?repo=https://github.com/org/course"
    assert f"{hub.url}user/ada/" in answer.json()["detail"]
