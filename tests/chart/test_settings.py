"""The chart passes every setting on unchanged, and gives the Hub a role that fits the settings."""

import json
from pathlib import Path, PurePath

import pytest

from helm.generate import secret_settings
from hublaunch.files.catalogue import read_catalogue
from hublaunch.files.limits import read_limits
from hublaunch.hub.check import needed_scopes
from hublaunch.settings import PREFIX, Settings, load_settings
from hublaunch.wiring.access import makes_temporary_users
from tests.chart.helm import Helm

HERE = Path(__file__)
SAMPLES = {
    "hub_url": "https://hub.example.org/jupyter/",
    "hub_url_local": "http://hub:8081/jupyter/",
    "hub_api_token": "0123456789abcdef",
    "proxy_url": "http://proxy-http:8000/",
    "hub_ca_file": str(HERE),
    "hub_cert_file": str(HERE),
    "hub_key_file": str(HERE),
    "access": ["anonymous", "hub", "key"],
    "api_keys_file": "/keys/api-keys.json",
    "admins": ["ada", "grace"],
    "oauth_client_id": "service-x",
    "oauth_callback_url": "https://launch.example.org/oauth_callback",
    "caller_weights": {"anonymous:*": 0.5, "key:<a>&b": 2},
    "pre_launch_hook": "os.path.join",
    "allowed_images": ["quay.io/jupyter/*", "python:3.*"],
    "group_allowed_images": {"gpu": ["quay.io/org/gpu-*"]},
    "metrics_port": 9095,
    "traces_url": "http://collector:4318/v1/traces",
    "audit_log": "-",
    "allowed_repos": ["github.com/org/*"],
    "banned_repos": ["*/malware*"],
    "database_url": "postgresql+psycopg://u:p@db/hublaunch",
    "rate_limit_caller": "600/60",
    "rate_limit_address": "120/60",
    "rate_limit_credentials": "off",
    "rate_limits": {"key:course-*": "100/10"},
    "limits_file": "/limits/limits.yaml",
    "catalogue_file": "/catalogue/catalogue.yaml",
    "retention": 31536000,
    "secret_key": "0123456789abcdef0123456789abcdef",
    "old_secret_keys": ["fedcba9876543210fedcba9876543210"],
    "prefix": "/launch/",
    "allowed_hosts": ["launch.example.org"],
    "trusted_proxies": ["10.0.0.0/8", "fd00::/8"],
    "cors_origins": ["https://book.example.org"],
    "frame_ancestors": ["self"],
}
"""Values for settings whose defaults would prove nothing. The others get their defaults."""


def in_json(default: object) -> object:
    """Return a default as values write it; None if it is written as text in another form."""
    is_text = isinstance(default, tuple) and not all(isinstance(each, str) for each in default)
    return None if is_text else default


def test_every_setting_passes_in_its_own_type(helm: Helm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {name: SAMPLES.get(name, in_json(field.default)) for name, field in Settings.model_fields.items()}
    secret = secret_settings()
    values = {
        "database": {"type": "postgresql"},
        "settings": {name: value for name, value in given.items() if name not in secret},
        "secretSettings": {name: value for name, value in given.items() if name in secret},
    }
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))

    variables = helm.rendered("--values", str(file)).environment

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    taken, wanted = load_settings(), Settings.model_validate(given)
    different = {name for name in Settings.model_fields if getattr(taken, name) != getattr(wanted, name)}
    assert different == {"allowed_hosts"}, "to these the chart adds its own"
    assert {"launch.example.org", "hublaunch.jhub.svc.cluster.local"} <= set(taken.allowed_hosts)


def test_the_variables_start_hublaunch_and_the_role_has_exactly_the_scopes_they_need(
    helm: Helm, values: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rendered = helm.rendered("--values", str(values))
    (tmp_path / "hub_hooks.py").write_text("def check_launch(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, value in rendered.environment.items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert {name for name in rendered.environment if name.startswith(PREFIX)} <= known
    role = rendered.z2jh["hub"]["loadRoles"][settings.service_name]
    needed = needed_scopes(temporary_users=makes_temporary_users(settings), mints_tokens=settings.token_mode == "hub")
    assert set(role["scopes"]) == needed
    assert role["services"] == [settings.service_name]
    assert rendered.name in settings.known_hosts


def test_hublaunch_reads_the_limits_in_the_values(helm: Helm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rendered = helm.rendered("--values", str(HERE.with_name("values") / "trial.yaml"))
    name = PurePath(rendered.environment["LAUNCHER_LIMITS_FILE"])
    file = tmp_path / name.name
    file.write_text(rendered.named("ConfigMap", "launcher-files")["data"][name.name])

    limits = read_limits(file)

    mounted = {each["mountPath"]: each["name"] for each in rendered.container["volumeMounts"]}
    assert mounted[str(name.parent)] == "hublaunch-files"
    assert limits.total == 1_000_000
    rules = [rule for _, rule in limits.rules]
    assert [rule.most for rule in rules] == [200, 300, 100]
    assert [rule.until is not None for rule in rules] == [True, True, False]


def test_hublaunch_reads_the_catalogue_in_the_values(helm: Helm, tmp_path: Path) -> None:
    rendered = helm.rendered("--values", str(HERE.with_name("values") / "replicas.yaml"))
    name = PurePath(rendered.environment["LAUNCHER_CATALOGUE_FILE"])
    file = tmp_path / name.name
    file.write_text(rendered.named("ConfigMap", "hublaunch-files")["data"][name.name])

    catalogue = read_catalogue(file)

    sizes = {each.name: [size.name for size in each.sizes] for each in catalogue.environments}
    assert sizes == {"gpu": ["large"], "scipy": ["small", "large"]}
    large = next(size for size in catalogue.sizes if size.name == "large")
    assert (large.user_options, large.most) == ({"spawner_override": {"cpu_limit": 4, "mem_limit": "16G"}}, 1_000_000)


def test_without_a_catalogue_hublaunch_gets_no_file_of_one(helm: Helm) -> None:
    rendered = helm.rendered("--set", "settings.hub_url=https://h/")

    assert "LAUNCHER_CATALOGUE_FILE" not in rendered.environment
    assert set(rendered.named("ConfigMap", "hublaunch-files")["data"]) == {"limits.yaml"}


def test_a_file_in_the_values_arrives_unchanged(helm: Helm, tmp_path: Path) -> None:
    files = {
        "hook.py": "    # indented\nx = 1\n",
        "banner.txt": '\n\n <b>"hi"</b>',
        "on": "no newline at the end",
        "1": "",
    }
    given = tmp_path / "values.json"
    given.write_text(json.dumps({"settings": {"hub_url": "https://h/"}, "files": files}))

    data = helm.rendered("--values", str(given)).named("ConfigMap", "hublaunch-files")["data"]

    assert {name: data[name] for name in data if name != "limits.yaml"} == files


def test_a_null_value_is_not_set(helm: Helm) -> None:
    variables = helm.rendered("--set", "settings.hub_url=https://h/,settings.proxy_url=null").environment

    assert "LAUNCHER_PROXY_URL" not in variables


def test_no_secret_appears_outside_of_the_secret(helm: Helm) -> None:
    values = HERE.with_name("values") / "autoscaled.yaml"
    rendered = helm.rendered("--values", str(values))

    elsewhere = str([each for each in rendered.manifests if each["kind"] != "Secret"])

    assert not [word for word in ("hublaunch:secret@", "0123456789abcdef", "fedcba98") if word in elsewhere]
    assert rendered.environment["LAUNCHER_DATABASE_URL"].startswith("postgresql+psycopg://hublaunch:secret@")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("shape=deployment", "http://hub:8081/"),
        ("shape=extra-container", "http://localhost:8081/"),
        ("shape=extra-container,settings.hub_url=https://h/jupyter/", "http://localhost:8081/jupyter/"),
        ("shape=extra-container,settings.hub_url_local=http://127.0.0.1:8081/", "http://127.0.0.1:8081/"),
    ],
)
def test_the_hub_is_reached_at_its_service_or_in_its_own_pod_at_localhost(
    helms: dict[str, Helm], given: str, url: str
) -> None:
    variables = helms["4"].rendered("--set", "settings.hub_url=https://h/", "--set", given).environment

    assert variables["LAUNCHER_HUB_URL_LOCAL"] == url


def test_an_extra_container_with_postgresql_needs_no_volume_of_the_hubs_pod(helms: dict[str, Helm]) -> None:
    given = "settings.hub_url=https://h/,shape=extra-container,database.type=postgresql,existingSecret=a"

    [container] = helms["4"].rendered("--set", given).z2jh["hub"]["extraContainers"]

    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/etc/hublaunch/files"]
