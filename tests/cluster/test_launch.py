"""A launch with the rendered chart, a Hub with KubeSpawner, and a real Kubernetes API that keeps its pods."""

from pathlib import Path

import httpx
import pytest

from tests.chart.helm import Helm
from tests.chart.release import released
from tests.cluster.api import running_kubernetes_with_pods
from tests.cluster.programs import Programs
from tests.support.served import BODY, IMAGE, REPO, read_events

pytestmark = [pytest.mark.cluster, pytest.mark.real_hub, pytest.mark.timeout(300)]

IMAGES = ("--set", "settings.allowed_images={quay.io/jupyter/*},settings.preflight=off")


async def test_a_launch_creates_a_pod_of_its_image_and_cancelling_removes_it(
    programs: Programs, helms: dict[str, Helm], tmp_path: Path
) -> None:
    state, data = tmp_path / "hub", tmp_path / "data"
    state.mkdir()
    data.mkdir()
    async with (
        running_kubernetes_with_pods(programs, tmp_path) as kubernetes,
        released(helms["4"], kubernetes, state, *IMAGES, also={}) as release,
        release.hub,
        release.hublaunch(data) as http,
    ):
        accepted = (await http.post("/launch", json=BODY)).json()
        async with http.stream("GET", accepted["events_url"]) as stream:
            told = [event async for event in read_events(stream)]
        pods = kubernetes.objects("pods")
        await end(http, accepted)
        left = kubernetes.objects("pods")

        assert told[-1]["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
    [container] = pods[0]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert (container["image"], variables["LAUNCH_REPO_URL"]) == (IMAGE, REPO)
    assert left == []


async def end(http: httpx.AsyncClient, accepted: dict[str, str]) -> None:
    """Cancel the launch, and return once nothing of it is left."""
    path, headers = f"/launch/{accepted['id']}", {"X-Launch-Secret": accepted["secret"]}
    while (answer := await http.delete(path, headers=headers)).status_code == 202:
        pass
    assert answer.status_code == 204, answer.text
