"""Values that the chart refuses, and its messages."""

import pytest

from tests.chart.helm import Helm

HUB = "settings.hub_url=https://hub.example.org/"
_A = "catalogue.environments.a"
WARM = f"{HUB},{_A}.title=A,{_A}.image=python,{_A}.warm.keep=1"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("shape=deployment", "settings.hub_url is not set: set it to the URL at which browsers reach the Hub"),
        (f"{HUB},replicas=2", "More than one replica needs PostgreSQL"),
        (f"{HUB},autoscaling.enabled=true", "More than one replica needs PostgreSQL"),
        (f"{HUB},database.type=postgresql", "set secretSettings.database_url, or name an existingSecret"),
        (f"{HUB},secretSettings.database_url=postgresql+psycopg://h/d", "set database.type to postgresql"),
        (f"{HUB},settings.database_url=x", "settings.database_url is secret: move it to secretSettings.database_url"),
        (f"{HUB},settings.secret_key=x", "settings.secret_key is secret: move it to secretSettings.secret_key"),
        (f"{HUB},existingSecret=a,secretSettings.hub_api_token=b1234567", "move all secrets into one of them"),
        (f"{HUB},hub.tokenSecret.name=", "The Hub's token is missing"),
        (f"{HUB},settings.access={{key}}", "name the Secret that holds api-keys.json in apiKeys.existingSecret"),
        (f"{HUB},settings.create_user=false", "settings.access contains anonymous, which needs temporary users"),
        (
            f"{HUB},settings.create_user=false,settings.access={{hub,invitation}}",
            "settings.access contains invitation, which needs temporary users",
        ),
        (f"{HUB},settings.access={{hub,invitation}}", "there is no catalogue: invitations are for its environments"),
        (f"{HUB},service.nodePort=30083", "set service.type to NodePort"),
        (f"{HUB},ingress.enabled=true", "ingress.hosts is empty"),
        (f"{HUB},httpRoute.enabled=true", "httpRoute.parentRefs is empty"),
        (f"{HUB},metrics.serviceMonitor.enabled=true", "set settings.metrics_port"),
        (f"{WARM},catalogue.environments.a.groups={{staff}}", "a.warm keeps servers of temporary users"),
        (f"{WARM},settings.access={{hub}}", "catalogue.environments.a.warm needs temporary users"),
        (f"{WARM},settings.token_mode=user_options", "settings.token_mode=user_options cannot be used together"),
        (f"{WARM},settings.pre_launch_hook=a.b", "settings.pre_launch_hook cannot be used together"),
        (
            f"{HUB},shape=extra-container,replicas=2,database.type=postgresql,existingSecret=a",
            "An extra container runs in the Hub's only pod",
        ),
    ],
)
def test_conflicting_values_are_refused_with_advice(helms: dict[str, Helm], given: str, sentence: str) -> None:
    assert sentence in helms["4"].refusal("--set", given)


@pytest.mark.parametrize(
    ("given", "where", "words"),
    [
        ("settings.hub_ulr=https://h/", "settings", "hub_ulr"),
        ("replcas=2", "", "replcas"),
        ("shape=sidecar", "shape", "extra-container"),
        ("settings.drain_s=soon", "drain_s", "number"),
        ("settings.max_queue=-1", "max_queue", "0"),
        ("settings.access={everybody}", "access", "anonymous"),
        ("settings.allowed_images=quay.io/*", "allowed_images", "array"),
        ("settings.token_mode=none", "token_mode", "user_options"),
        ("image.digest=latest", "digest", "sha256:"),
        ("persistence.size=big", "size", "pattern"),
        ("database.type=mysql", "type", "postgresql"),
        ("limits.repositries[0].match=a", "limits", "repositries"),
        ("limits.images[0].match=a", "images", "most"),
        (f"{_A}.title=A,{_A}.image=python,{_A}.warm.most=1", "warm", "keep"),
        ("secretSettings.secret_key=short", "secret_key", "32"),
    ],
)
def test_the_schema_names_the_invalid_value_and_the_rule(helm: Helm, given: str, where: str, words: str) -> None:
    said = helm.refusal("--set", f"{HUB},{given}")

    assert where in said
    assert words in said
