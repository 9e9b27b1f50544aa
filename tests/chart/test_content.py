"""Content by an init container: the pods that KubeSpawner makes with the chart's values for z2jh."""

import json
from pathlib import Path
from typing import Any

import pytest

from helm.hub_content import HUBLAUNCH_FETCH
from tests.chart.cluster import running_cluster
from tests.chart.helm import Helm
from tests.chart.release import released
from tests.support.served import read_events

REPO = "https://github.com/org/course"
CATALOGUE = {
    "environments": {
        "fetched": {"title": "F", "image": "quay.io/org/a:1", "content": "spawner", "open": "lab"},
        "label": {"title": "L", "image": "quay.io/org/a:1"},
    }
}
EARLIER = {"name": "block-cloud-metadata", "image": "z2jh"}
"""The init container that z2jh itself has, for every server."""


@pytest.mark.real_hub
@pytest.mark.timeout(240)
async def test_the_pod_fetches_url_and_ref_as_separate_arguments_after_z2jhs_own_container(
    helms: dict[str, Helm], tmp_path: Path
) -> None:
    given = ("--set-json", f"catalogue={json.dumps(CATALOGUE)}", "--set", "settings.preflight=off")
    state = tmp_path / "hub"
    state.mkdir()
    pods: dict[str, Any] = {}
    bodies = [
        {"environment": "fetched", "repo_url": f"{REPO};reboot", "ref": "v1;$(reboot)", "path": "x.ipynb"},
        {"environment": "fetched", "repo_url": REPO},
        {"environment": "label", "repo_url": REPO, "ref": "main"},
    ]
    async with (
        running_cluster() as cluster,
        released(helms["4"], cluster, state, *given, also={}, singleuser={"initContainers": [EARLIER]}) as release,
        release.hub,
        release.hublaunch(tmp_path) as http,
    ):
        for body in bodies:
            async with http.stream("POST", "/launch", json=body, headers={"Accept": "text/event-stream"}) as stream:
                last = [event async for event in read_events(stream)][-1]
            assert last["phase"] == "ready", release.hub.log_path.read_text()[-3000:]
            [name] = {pod["metadata"]["name"] for pod in cluster.objects("pods")} - set(pods)
            pods[name] = next(pod["spec"] for pod in cluster.objects("pods") if pod["metadata"]["name"] == name)

    hostile, plain, label = pods.values()
    earlier, fetch = hostile["initContainers"]
    where = "/home/jovyan/course-reboot"
    assert earlier["name"] == EARLIER["name"]
    assert fetch["command"] == ["sh", "-c", HUBLAUNCH_FETCH, "fetch", f"{REPO};reboot", "v1;$(reboot)", where]
    assert "args" not in fetch
    assert fetch["image"] == "docker.io/alpine/git:2.49.1"
    assert fetch["volumeMounts"] == [{"name": "hublaunch-content", "mountPath": where}]
    assert fetch["securityContext"]["allowPrivilegeEscalation"] is False
    assert fetch["securityContext"]["runAsUser"] == 1000
    assert {"name": "hublaunch-content", "emptyDir": {}} in hostile["volumes"]
    [server] = hostile["containers"]
    assert {"name": "hublaunch-content", "mountPath": where} in server["volumeMounts"]
    assert {"name": "GIT_CONFIG_VALUE_0", "value": where} in server["env"]
    assert plain["initContainers"][1]["command"][4:] == [REPO, "", "/home/jovyan/course"]
    assert len(plain["initContainers"]) == 2
    assert [each["name"] for each in label["initContainers"]] == [EARLIER["name"]]
    assert "hublaunch-content" not in json.dumps(label)


@pytest.mark.parametrize(
    ("catalogue", "given", "is_there"),
    [
        (CATALOGUE, (), True),
        ({"environments": {"label": CATALOGUE["environments"]["label"]}}, (), False),
        ({}, (), False),
        ({}, ("--set", "settings.catalogue_file=/etc/hublaunch/files/mine.yaml"), True),
    ],
)
def test_the_hook_is_printed_only_where_a_spawner_may_have_to_fetch(
    helm: Helm, catalogue: dict[str, Any], given: tuple[str, ...], *, is_there: bool
) -> None:
    values = ("--set", "settings.hub_url=https://h/", "--set-json", f"catalogue={json.dumps(catalogue)}", *given)

    assert ("hublaunch-content" in helm.rendered(*values).z2jh["hub"]["extraConfig"]) is is_there
