"""Settings: where they come from, and the errors for bad ones."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from hublaunch.settings import Settings, SettingsFault, load_settings, unknown_variables

ROOT = Path(__file__).parent.parent


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    needed = {"LAUNCHER_HUB_URL": "https://hub.example.org", "LAUNCHER_HUB_API_TOKEN": "t" * 32}
    for name, value in (needed | variables).items():
        monkeypatch.setenv(name, value)


def test_the_defaults_that_env_example_shows_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / ".env.example").read_text()
    shown = {
        name: value
        for above, name, value in re.findall(r"^(.*)\n# (LAUNCHER_[A-Z_]+)=(.*)$", text, flags=re.MULTILINE)
        if not above.endswith("For example:")
    }
    given(monkeypatch)
    by_default = load_settings()

    given(monkeypatch, **shown)

    assert len(shown) > 30
    assert load_settings() == by_default


def test_the_examples_are_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fields = Settings.model_fields.items()
    examples = {f"LAUNCHER_{name.upper()}": str(field.examples[0]) for name, field in fields if field.examples}
    for name in ("HUB_CA_FILE", "HUB_CERT_FILE", "HUB_KEY_FILE"):
        assert examples.pop(f"LAUNCHER_{name}")
    examples["LAUNCHER_PRE_LAUNCH_HOOK"] = "os.path.join"
    given(monkeypatch, **examples)

    assert load_settings().limits_file == Path("limits.yaml")


def test_a_launcher_variable_wins_over_the_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, JUPYTERHUB_API_TOKEN="h" * 32, JUPYTERHUB_SERVICE_PREFIX="/services/a/", LAUNCHER_PREFIX="/b")

    settings = load_settings()

    assert settings.hub_api_token.get_secret_value() == "t" * 32
    assert settings.prefix == "/b"


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/", ""),
        ("services/launcher", "/services/launcher"),
        ("/@/space%20word/services/launcher/", "/@/space%20word/services/launcher"),
        ("/caf\u00e9;x/", "/caf%C3%A9%3Bx"),
    ],
)
def test_a_prefix_is_percent_encoded_as_in_urls(monkeypatch: pytest.MonkeyPatch, value: str, prefix: str) -> None:
    given(monkeypatch, LAUNCHER_PREFIX=value)

    settings = load_settings()

    assert (settings.prefix, settings.routed_prefix) == (prefix, unquote(prefix))


@pytest.mark.parametrize(
    "value", ["/a/../b", "/a//b", "/a%2Fb", "/50%", "/a?b", "/a#b", "/{a}", "/a\\b", "/%0A", "/%ff"]
)
def test_a_prefix_that_is_not_a_url_path_stops_startup(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    given(monkeypatch, LAUNCHER_PREFIX=value)

    with pytest.raises(SettingsFault, match="LAUNCHER_PREFIX: must be a path such as /services/hublaunch/"):
        load_settings()


def test_dotenv_wins_over_the_hubs_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"LAUNCHER_HUB_URL=https://hub.example.org\nLAUNCHER_HUB_API_TOKEN={'d' * 32}\n")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "h" * 32)

    assert load_settings().hub_api_token.get_secret_value() == "d" * 32


def test_the_variables_of_a_hub_service_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "JUPYTERHUB_API_TOKEN": "h" * 32,
        "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/base/hub/api",
        "JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/base/hub/",
        "JUPYTERHUB_SERVICE_PREFIX": "/base/services/launcher/",
        "JUPYTERHUB_ALLOW_NAMED_SERVERS": "true",
        "JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER": "3",
        "JUPYTERHUB_PUBLIC_URL": "",
    }.items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    assert settings.hub_url == "https://hub.example.org/base/"
    assert settings.hub_api_url == "http://127.0.0.1:8081/base/hub/api/"
    assert settings.prefix == "/base/services/launcher"
    assert settings.allow_named_servers
    assert settings.named_server_limit_per_user == 3


def test_the_api_is_below_the_hub_url_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, LAUNCHER_HUB_URL="https://hub.example.org/base")

    settings = load_settings()

    assert settings.hub_api_url == "https://hub.example.org/base/hub/api/"
    assert settings.proxy_url is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ALLOWED_IMAGES", "quay.io/*,python:3.*", ("quay.io/*", "python:3.*")),
        ("ALLOWED_IMAGES", '["quay.io/*", "python:3.*"]', ("quay.io/*", "python:3.*")),
        ("ALLOWED_IMAGES", " quay.io/* , python:3.* ,", ("quay.io/*", "python:3.*")),
        ("ALLOWED_IMAGES", "", ()),
        (
            "GROUP_ALLOWED_IMAGES",
            '{"gpu": ["quay.io/gpu/*", "python"], "none": []}',
            {"gpu": ("quay.io/gpu/*", "python"), "none": ()},
        ),
        (
            "CORS_ORIGINS",
            "https://Book.Example.org:8443,http://[::1]:8080",
            ("https://book.example.org:8443", "http://[::1]:8080"),
        ),
        ("FRAME_ANCESTORS", "self", ("self",)),
    ],
)
def test_lists_and_objects_are_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    given(monkeypatch, **{f"LAUNCHER_{name}": text})

    assert getattr(load_settings(), name.lower()) == value


def test_each_missing_variable_has_a_sentence() -> None:
    with pytest.raises(SettingsFault) as fault:
        load_settings()

    assert len(fault.value.sentences) == 2
    assert fault.value.sentences[0].startswith("LAUNCHER_HUB_URL is not set: set it to")
    assert fault.value.sentences[1].startswith("LAUNCHER_HUB_API_TOKEN is not set: set it to")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LAUNCHER_HUB_URL", "hub.example.org", "must be a URL"),
        ("LAUNCHER_HUB_URL", "https://user:secret-word@hub.example.org", "without credentials"),
        ("LAUNCHER_HUB_URL_LOCAL", "http://hub:8081/hub/api", "above /hub/api"),
        ("LAUNCHER_HUB_API_TOKEN", "secret", "at least 8"),
        ("LAUNCHER_RETRIES", "0", "greater than or equal to 1"),
        ("LAUNCHER_RETRIES", "secret-word", "valid integer"),
        ("LAUNCHER_LAUNCH_TIMEOUT", "-1", "greater than 0"),
        ("LAUNCHER_TOKEN_MODE", "secret-word", "'hub' or 'user_options'"),
        ("LAUNCHER_ALLOWED_IMAGES", "[secret-word", "JSON list"),
        ("LAUNCHER_GROUP_ALLOWED_IMAGES", "secret-word", "JSON object"),
        ("LAUNCHER_GROUP_ALLOWED_IMAGES", '["secret-word"]', "should be a valid"),
        ("LAUNCHER_GROUP_ALLOWED_IMAGES", '{"gpu": "secret-word"}', "should be a valid"),
        ("LAUNCHER_REQUIRE_DIGEST", "secret-word", "valid boolean"),
        ("LAUNCHER_TRUSTED_PROXIES", "secret-word", "network"),
        ("LAUNCHER_CORS_ORIGINS", "*", "must be an origin"),
        ("LAUNCHER_CORS_ORIGINS", "https://a.example.org/path", "must be an origin"),
        ("LAUNCHER_CORS_ORIGINS", "https://a.example.org?query", "must be an origin"),
        ("LAUNCHER_CORS_ORIGINS", "https://user@a.example.org", "must be an origin"),
        ("LAUNCHER_CORS_ORIGINS", "self", "must be an origin"),
        ("LAUNCHER_FRAME_ANCESTORS", "https://a.example.org; script-src *", "must be an origin"),
        ("LAUNCHER_FRAME_ANCESTORS", "https://a.example.org 'self'", "must be an origin"),
        ("LAUNCHER_FRAME_ANCESTORS", "*", "must be an origin"),
        ("LAUNCHER_SITE_NAME", "n" * 61, "at most 60"),
        ("LAUNCHER_SITE_LOGO", "logo.svg", "must be a URL"),
        ("LAUNCHER_SITE_LOGO", "https://a.example.org;script-src */logo.svg", "must be a URL"),
        ("LAUNCHER_SITE_LOGO", "data:text/html;base64,PGI+", "must be a URL"),
        ("LAUNCHER_SITE_HELP", "javascript:alert(1)", "must be a URL"),
        ("LAUNCHER_SITE_TERMS", "mailto:", "must be a URL"),
        ("LAUNCHER_SECRET_KEY", "secret-word", "at least 32"),
        ("LAUNCHER_PRE_LAUNCH_HOOK", "no.such.module", "No module named"),
        ("LAUNCHER_PREFIX", "/a b", "must be a path"),
        ("LAUNCHER_LOG_LEVEL", "secret-word", "'DEBUG', 'INFO'"),
        ("LAUNCHER_TRACES_URL", "secret-word:4318", "must be a URL"),
        ("LAUNCHER_TRACES_URL", "http://user:secret-word@collector:4318", "without credentials"),
        ("LAUNCHER_LOG_FORMAT", "secret-word", "'auto', 'text' or 'json'"),
        ("LAUNCHER_METRICS_PORT", "65536", "less than or equal to 65535"),
        ("LAUNCHER_HUB_CA_FILE", "/no/secret-word", "does not point to a file"),
    ],
)
def test_the_error_for_a_bad_value_names_the_variable_and_not_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    given(monkeypatch, **{name: value})

    with pytest.raises(SettingsFault) as fault:
        load_settings()

    assert len(fault.value.sentences) == 1
    assert fault.value.sentences[0].startswith(f"{name}: ")
    assert words in fault.value.sentences[0]
    assert "secret-word" not in str(fault.value)


def test_the_repr_of_settings_shows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, LAUNCHER_SECRET_KEY="k" * 40)

    shown = repr(load_settings())

    assert "t" * 32 not in shown
    assert "k" * 40 not in shown


def test_the_hubs_host_is_a_known_host(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, LAUNCHER_HUB_URL="https://Hub.Example.org:8443/", LAUNCHER_ALLOWED_HOSTS="launcher,[::1]")

    assert load_settings().known_hosts == {"hub.example.org", "services.hub.example.org", "launcher", "[::1]"}


def test_the_subdomain_of_a_hub_service_is_a_known_host(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "https://hublaunch--service.hub.example.org/services/hublaunch/"
    given(monkeypatch, LAUNCHER_HUB_URL="https://hub.example.org/", JUPYTERHUB_PUBLIC_URL=own)

    assert "hublaunch--service.hub.example.org" in load_settings().known_hosts


@pytest.mark.parametrize(
    ("text", "rate"), [("600/60", (600, 60)), ("1/86400", (1, 86400)), ("1000000/1", (1_000_000, 1)), ("off", None)]
)
def test_a_rate_is_per_seconds_or_off(monkeypatch: pytest.MonkeyPatch, text: str, rate: tuple[int, int] | None) -> None:
    given(monkeypatch, LAUNCHER_RATE_LIMIT_CALLER=text, LAUNCHER_RATE_LIMITS=f'{{"key:*": "{text}"}}')

    settings = load_settings()

    assert (settings.rate_limit_caller, settings.rate_limits) == (rate, {"key:*": rate})


@pytest.mark.parametrize(
    "text", ["60", "0/60", "60/0", "1.5/60", "-1/60", "60/60s", "1000001/60", "1/86401", "no", "٣/٣"]
)
def test_an_invalid_rate_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, LAUNCHER_RATE_LIMIT_CALLER=text)

    with pytest.raises(SettingsFault, match="LAUNCHER_RATE_LIMIT_CALLER: must be NUMBER/SECONDS"):
        load_settings()


@pytest.mark.parametrize("text", ['{"key:*": "fast"}', '["600/60"]', "600/60"])
def test_rate_limits_must_be_an_object_of_rates(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, LAUNCHER_RATE_LIMITS=text)

    with pytest.raises(SettingsFault, match="LAUNCHER_RATE_LIMITS: "):
        load_settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LAUNCHER_ALOWED_IMAGES", "LAUNCHER_ALLOWED_IMAGES"),
        ("LAUNCHER_TRUSTED_PROXY", "LAUNCHER_TRUSTED_PROXIES"),
        ("LAUNCHER_METRIC_PORT", "LAUNCHER_METRICS_PORT"),
        ("LAUNCHER_LAUNCH_TIMEOUT_S", "LAUNCHER_LAUNCH_TIMEOUT"),
    ],
)
def test_a_misspelled_setting_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    given(monkeypatch, **{name: "1"})

    with pytest.raises(SettingsFault, match=f"^{name} is not a setting. Did you mean {meant}\\?$"):
        load_settings()


def test_a_misspelled_name_in_the_env_file_is_reported_before_the_missing_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "LAUNCHER_HUB_TOKEN=0123456789\nOTHER=1\nLAUNCHER_HUB_URL=https://hub.example.org/\n"
    )

    with pytest.raises(SettingsFault) as fault:
        load_settings()

    slip, unset = fault.value.sentences
    assert slip == "LAUNCHER_HUB_TOKEN is not a setting. Did you mean LAUNCHER_HUB_API_TOKEN?"
    assert "LAUNCHER_HUB_API_TOKEN is not set" in unset


def test_unknown_variables_are_listed_without_kubernetes_service_links(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "LAUNCHER_SERVICE_HOST": "10.0.0.1",
        "LAUNCHER_SERVICE_PORT": "8083",
        "LAUNCHER_SERVICE_PORT_HTTP": "8083",
        "LAUNCHER_PORT": "tcp://10.0.0.1:8083",
        "LAUNCHER_PORT_8083_TCP": "tcp://10.0.0.1:8083",
        "LAUNCHER_PORT_8083_TCP_ADDR": "10.0.0.1",
        "LAUNCHER_API_SERVICE_HOST": "10.0.0.2",
    }
    given(monkeypatch, LAUNCHER_COLOUR="blue", launcher_drain_s="20", **links)

    settings = load_settings()

    assert unknown_variables() == ["LAUNCHER_COLOUR"]
    assert settings.drain_s == 20
