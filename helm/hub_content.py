"""The Hub's part of `content: spawner`: fetch the repository of a launch into its server.

The chart prints this file for z2jh, and other Hubs load it (docs/content.md). hublaunch asks for the repository with
`content_dir` in the `user_options` of a server. A Hub user can ask for it too, so every value is checked here again,
and git gets it as an argument of its own.
"""

import re
from collections.abc import Mapping
from typing import Any

HUBLAUNCH_FETCH = r"""
url=$1 ref=$2 dir=$3
shift 3
case $dir in /*) ;; *) dir=$HOME/$dir ;; esac
note=$dir/CONTENT-FAILED.md
export GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=https
limited() { timeout 120 "$@"; }

clone() { limited git clone --quiet --depth 1 "$@" -- "$url" "$dir"; }
fetch() {
  git init --quiet "$dir" && git -C "$dir" remote add -- origin "$url" &&
    limited git -C "$dir" fetch --quiet --depth 1 -- "$url" "$1" && git -C "$dir" checkout --quiet --detach FETCH_HEAD
}
files() {
  case $ref in
    "") clone ;;
    refs/tags/*) fetch "$ref" ;;
    *[!0-9a-f]*) clone --branch "${ref#refs/heads/}" ;;
    *) case ${#ref} in 40 | 64) fetch "$ref" ;; *) clone --branch "$ref" ;; esac ;;
  esac
}

if [ "$(git -C "$dir" config remote.origin.url 2>&1)" != "$url" ]; then
  mkdir -p "$dir"
  rm -f "$note"
  if [ -n "$(ls -A "$dir")" ]; then
    said="the folder has other files in it"
  else
    said=$(files 2>&1) && said= || said=${said:-git ended without a word}
  fi
  if [ -n "$said" ]; then
    [ -e "$dir/.git/FETCH_HEAD" ] || rm -rf "$dir/.git"
    printf '# The repository could not be fetched\n\n' >"$note"
    printf '%s %s is not in this folder:\n\n    %s\n' "$url" "$ref" "$said" >>"$note"
  fi
fi
[ $# -eq 0 ] || exec "$@"
"""
"""A program for `sh -c`: its arguments are the URL, the ref, the folder, and a command to run in its place afterwards.

It always succeeds, so that the server starts. A failure leaves a note in the folder. Files of an earlier launch stay.
"""


def hublaunch_fetch(options: Mapping[str, Any]) -> list[str] | None:
    """Return the program that fetches the repository of these `user_options`, with its arguments; None without one."""
    from tornado import web  # noqa: PLC0415 - a Hub has it

    folder = options.get("content_dir")
    if folder is None:
        return None
    url, ref = options.get("repo_url"), options.get("ref", "")
    rules = (
        (url, r"https://[^\s\\]{1,2000}"),
        (ref, r"(?![-+])[^\s\\~^:?*\[]{0,200}"),
        (folder, r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"),
    )
    if not all(isinstance(value, str) and re.fullmatch(rule, value) for value, rule in rules):
        raise web.HTTPError(400, "this repository cannot be fetched")
    return ["sh", "-c", HUBLAUNCH_FETCH, "fetch", url, ref, folder]


def hublaunch_fetch_before_server(spawner: Any) -> None:
    """Fetch the repository in the server's own process, before the server starts: a `pre_spawn_hook`.

    git must be installed where the server runs, and `spawner.cmd` must be set. DockerSpawner's is not by default.
    """
    from tornado import web  # noqa: PLC0415 - a Hub has it

    if not hasattr(spawner, "hublaunch_cmd"):
        spawner.hublaunch_cmd = spawner.cmd
    spawner.cmd = spawner.hublaunch_cmd
    program = hublaunch_fetch(spawner.user_options)
    if program is not None:
        if not spawner.cmd:
            raise web.HTTPError(500, "the configuration of this Hub sets no command to start servers with")
        spawner.cmd = [*program, *spawner.cmd]


def hublaunch_fetch_in_pod(image: str, home: str, then: Any = None) -> Any:
    """Return a `modify_pod_hook` of KubeSpawner. It adds an init container that fetches the repository with this image.

    `home` is the home directory of the server. `then` is another hook, which is called first.
    """

    async def hook(spawner: Any, pod: Any) -> Any:
        from inspect import isawaitable  # noqa: PLC0415 - as below

        from kubernetes_asyncio.client import models  # noqa: PLC0415 - KubeSpawner has it

        if then is not None:
            pod = then(spawner, pod)
            if isawaitable(pod):
                pod = await pod
        program = hublaunch_fetch(spawner.user_options)
        if program is None:
            return pod
        *program, folder = program
        server = pod.spec.containers[0]
        given = server.security_context if isinstance(server.security_context, dict) else {}  # KubeSpawner's is a dict
        mount = models.V1VolumeMount(name="hublaunch-content", mount_path=f"{home}/{folder}")
        # The volume belongs to root, and git works only in folders of its own user, or in those named here.
        trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": mount.mount_path}
        trusted = [models.V1EnvVar(name=name, value=value) for name, value in trust.items()]
        fetch = models.V1Container(
            name="hublaunch-content",
            image=image,
            command=[*program, mount.mount_path],
            env=trusted,
            volume_mounts=[mount],
            resources=models.V1ResourceRequirements(
                requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "512Mi"}
            ),
            security_context=models.V1SecurityContext(
                run_as_user=given.get("runAsUser") or 1000,
                run_as_group=given.get("runAsGroup") or 100,
                allow_privilege_escalation=False,
                capabilities=models.V1Capabilities(drop=["ALL"]),
            ),
        )
        volume = models.V1Volume(name=mount.name, empty_dir=models.V1EmptyDirVolumeSource())
        pod.spec.init_containers = [*(pod.spec.init_containers or []), fetch]
        pod.spec.volumes = [*(pod.spec.volumes or []), volume]
        server.volume_mounts = [*(server.volume_mounts or []), mount]
        server.env = [*(server.env or []), *trusted]
        return pod

    return hook
