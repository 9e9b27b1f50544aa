"""The metrics of invitations."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.news import Accepted
from hublaunch.launch.rules.invitation import InvitationUse
from hublaunch.observe.metrics import Metrics
from hublaunch.settings import Settings
from tests.observe.test_metrics import Samples, nothing, scrape, value
from tests.store.launches import new_launch
from tests.support.callers import bearer
from tests.support.catalogue import catalogue_in
from tests.support.invitations import ended, invited, revoke
from tests.support.served import serve


async def test_invitations_are_counted_and_show_their_use(settings: Settings, tmp_path: Path) -> None:
    access = {"access": ("anonymous", "invitation"), "catalogue_file": catalogue_in(tmp_path)}
    async with serve(settings.model_copy(update=access), metrics_public=True) as service:
        codes = [invited(settings.database_url, name, most=5) for name in ("pycon", "other")]
        ended(settings.database_url)
        for code in (codes[0], codes[0], codes[1]):
            await service.http.post("/launch", json={"environment": "scipy"}, headers=bearer(code))
        await service.launch()
        samples = await scrape(service)
        revoke(settings.database_url, "other")
        later = await scrape(service)

    assert value(samples, "invitation_launches_total", invitation="pycon") == 2
    assert value(samples, "invitation_active", invitation="pycon") == 2
    assert value(samples, "invitation_most", invitation="pycon") == 5
    assert _shown(samples) == {"pycon", "other"}
    assert _shown(later) == {"pycon"}


def _shown(samples: Samples) -> set[str]:
    return {dict(labels)["invitation"] for name, labels in samples if name == "hublaunch_invitation_active"}


async def test_invitations_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hublaunch.observe.invitation_metrics._COUNTED_MAX", 2)
    metrics = Metrics(
        codes=(), kinds=(), capacity=nothing, followers=lambda: 0, loops=dict, invitations=lambda _: no_uses()
    )
    for name in ("a", "b", "c", "d", "a"):
        metrics.on_news(Accepted(launch=new_launch(caller=Caller(kind="invitation", key=name))))

    read = metrics.registry.get_sample_value
    counts = {
        name: read("hublaunch_invitation_launches_total", {"invitation": name}) for name in ("a", "b", "c", "other")
    }
    assert counts == {"a": 2, "b": 1, "c": None, "other": 2}


async def no_uses() -> Sequence[InvitationUse]:
    return ()
