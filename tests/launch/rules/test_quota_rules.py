"""The names that a launch counts under, and the quotas that apply to it."""

from datetime import UTC, datetime, timedelta

import pytest

from hublaunch.launch.caller import Caller
from hublaunch.launch.model import LaunchRequest
from hublaunch.launch.rules.quota import Active, Quota, Scope
from hublaunch.launch.rules.quota_rules import QuotaRules, Rule, counted_as

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
ADA = Caller(kind="hub", key="ada")
REQUEST = LaunchRequest(image="quay.io/org/gpu:1", repo_url="https://github.com/Org/Repo.git")


def limits(scope: Scope, *rules: Rule, total: int | None = None) -> QuotaRules:
    return QuotaRules(total=total, rules=tuple((scope, rule) for rule in rules))


def rule(scope: Scope, pattern: str, most: int, *, together: bool = False, until: datetime | None = None) -> Rule:
    return Rule.parse(scope, pattern, most=most, together=together, until=until)


def quotas(limits: QuotaRules, *, caller: Caller = ADA, request: LaunchRequest = REQUEST) -> tuple[Quota, ...]:
    return limits.quotas(caller, request, at=NOW)


@pytest.mark.parametrize(
    ("scope", "requests"),
    [
        (Scope.IMAGE, ["python", "python:3.12", "docker.io/library/python@sha256:" + "a" * 64]),
        (Scope.IMAGE, ["quay.io/org/gpu:1", "QUAY.io/org/gpu"]),
        (
            Scope.REPOSITORY,
            ["https://github.com/org/repo", "git@github.com:Org/Repo.git", "https://GitHub.com/org/repo/"],
        ),
    ],
)
def test_all_spellings_of_an_image_or_a_repository_count_together(scope: Scope, requests: list[str]) -> None:
    asked = [
        LaunchRequest(image=text) if scope is Scope.IMAGE else LaunchRequest(image="a", repo_url=text)
        for text in requests
    ]

    assert len({counted_as(ADA, one)[scope] for one in asked}) == 1


def test_a_launch_without_a_repository_counts_for_none() -> None:
    anything = limits(Scope.REPOSITORY, rule(Scope.REPOSITORY, "*", 1))

    assert quotas(anything, request=LaunchRequest(image="python")) == ()


def test_without_rules_there_are_no_quotas() -> None:
    assert quotas(QuotaRules()) == ()


def test_an_api_key_has_its_own_quota_and_those_of_the_file() -> None:
    key = Caller(kind="key", key="ci", max_active=3)

    found = quotas(limits(Scope.CALLER, rule(Scope.CALLER, "key:*", 5), total=9), caller=key)

    assert found == (
        Quota(scope=Scope.CALLER, most=3, name="key:ci"),
        Quota(scope=Scope.CALLER, most=5, name="key:ci"),
        Quota(scope=Scope.TOTAL, most=9),
    )


def test_only_the_first_matching_rule_applies() -> None:
    rules = [rule(Scope.REPOSITORY, pattern, most) for pattern, most in (("github.com/org/*", 300), ("*", 100))]

    assert [quota.most for quota in quotas(limits(Scope.REPOSITORY, *rules))] == [300]
    assert [quota.most for quota in quotas(limits(Scope.REPOSITORY, *reversed(rules)))] == [100]


def test_a_rule_counts_each_name_separately_or_all_matching_names_together() -> None:
    by_itself = quotas(limits(Scope.IMAGE, rule(Scope.IMAGE, "quay.io/org/*", 8)))
    together = quotas(limits(Scope.IMAGE, rule(Scope.IMAGE, "quay.io/org/*", 8, together=True)))

    assert by_itself == (Quota(scope=Scope.IMAGE, most=8, name="quay.io/org/gpu"),)
    assert together == (Quota(scope=Scope.IMAGE, most=8, pattern="quay.io/org/*"),)
    names = ("quay.io/org/gpu", "quay.io/org/gpu2", "quay.io/other/gpu", "docker.io/library/python")
    assert [by_itself[0].counts(name) for name in names] == [True, False, False, False]
    assert [together[0].counts(name) for name in names] == [True, True, False, False]


@pytest.mark.parametrize(("until", "most"), [(NOW + timedelta(seconds=1), 300), (NOW, 100)], ids=["before", "over"])
def test_after_its_end_a_rule_is_ignored(until: datetime, most: int) -> None:
    event = rule(Scope.REPOSITORY, "github.com/org/*", 300, until=until)

    (quota,) = quotas(limits(Scope.REPOSITORY, event, rule(Scope.REPOSITORY, "*", 100)))

    assert quota.most == most


def test_a_pattern_for_a_host_does_not_match_a_path_on_another_host() -> None:
    event = limits(Scope.REPOSITORY, rule(Scope.REPOSITORY, "*hub.com/org/*", 300))

    assert quotas(event) != ()
    assert quotas(event, request=LaunchRequest(image="a", repo_url="https://evil.example/x.hub.com/org/repo")) == ()


@pytest.mark.parametrize(
    ("scope", "pattern", "words"),
    [
        (Scope.IMAGE, "python:3.*", "neither tag nor digest"),
        (Scope.IMAGE, "python@sha256:*", "neither tag nor digest"),
        (Scope.IMAGE, "quay.io//x", "empty part"),
        (Scope.REPOSITORY, "github.com", "more than the host"),
        (Scope.CALLER, "", "empty part"),
        (Scope.CALLER, "key:[a", "close each bracket"),
    ],
)
def test_an_invalid_pattern_is_refused_with_a_reason(scope: Scope, pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rule(scope, pattern, 1)


def test_quotas_in_use_are_listed_by_their_room_with_patterns_counted_together() -> None:
    rules = QuotaRules(
        total=100,
        rules=(
            (Scope.CALLER, rule(Scope.CALLER, "key:*", 4)),
            (Scope.IMAGE, rule(Scope.IMAGE, "quay.io/gpu*", 8, together=True)),
            (Scope.IMAGE, rule(Scope.IMAGE, "quay.io/over*", 1, until=NOW)),
        ),
    )
    names = {
        Scope.CALLER: {"key:a": 2, "key:b": 3, "hub:c": 9},
        Scope.IMAGE: {"quay.io/gpu-a": 3, "quay.io/gpu-b": 4, "quay.io/over": 1},
    }

    used = rules.in_use(Active(total=14, names=names), at=NOW)

    assert [(use.scope.value, use.counts, use.active, use.most) for use in used] == [
        ("image", "quay.io/gpu*", 7, 8),
        ("caller", "key:b", 3, 4),
        ("caller", "key:a", 2, 4),
        ("total", "", 14, 100),
    ]
    assert rules.in_use(Active(total=0, names={}), at=NOW) == []
