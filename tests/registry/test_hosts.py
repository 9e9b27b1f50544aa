"""Which registries are asked, and to which addresses this service connects: the rules against being sent elsewhere."""

import pytest

from hublaunch.registry.hosts import NamedHosts, domain_of, is_connectable, is_public, may_issue_tokens


@pytest.mark.parametrize(
    ("pattern", "registry", "is_named"),
    [
        ("quay.io/jupyter/*", "quay.io", True),
        ("quay.io/jupyter/*", "evil.io", False),
        ("QUAY.io/jupyter/*", "quay.io", True),
        ("jupyter/*", "docker.io", True),
        ("python:3.*", "docker.io", True),
        ("registry.example.org:5000/*", "registry.example.org:5000", True),
        ("registry.example.org:5000/*", "registry.example.org", False),
        ("registry.example.org/*", "registry.example.org:22", False),
        ("[2001:db8::1]:5000/*", "[2001:db8::1]:5000", True),
        ("*.example.org/*", "a.example.org", True),
        ("*.example.org/*", "a.b.example.org", True),
        ("*.example.org/*", "example.org", False),
        ("*.example.org/*", "example.org.evil.io", False),
        ("reg-[0-9].example.org/*", "reg-7.example.org", True),
        ("*.example.ac.uk/*", "a.example.ac.uk", True),
        # no one domain: anybody may have a host that matches
        ("*", "quay.io", False),
        ("*/*", "quay.io", False),
        ("*/jupyter/*", "quay.io", False),
        ("*.io/*", "quay.io", False),
        ("*.ac.uk/*", "evil.ac.uk", False),
        ("quay.*/*", "quay.io", False),
        ("*quay.io/*", "evilquay.io", False),
        ("q?ay.io/*", "quay.io", False),
        ("192.0.2.*/*", "192.0.2.1", False),
        ("*:5000/*", "quay.io:5000", False),
    ],
)
def test_a_registry_is_asked_if_a_pattern_names_it_or_its_domain(pattern: str, registry: str, is_named: bool) -> None:
    assert NamedHosts([pattern]).include(registry) is is_named


@pytest.mark.parametrize(
    ("pattern", "host", "may_be"),
    [
        ("registry.example.org/*", "registry.example.org", True),
        ("registry.example.org:5000/*", "registry.example.org", True),
        ("registry.example.org/*", "gitlab.example.org", True),  # its tokens may come from there
        ("registry.example.org/*", "example.com", False),
        ("jupyter/*", "registry-1.docker.io", True),
        ("localhost:5000/*", "localhost", True),
        ("127.0.0.1:5000/*", "127.0.0.1", True),
        ("127.0.0.1:5000/*", "127.0.0.2", False),
        ("*.example.org/*", "a.example.org", False),
        ("*", "127.0.0.1", False),
    ],
)
def test_only_a_host_named_in_full_or_a_host_beside_it_may_have_a_private_address(
    pattern: str, host: str, may_be: bool
) -> None:
    assert NamedHosts([pattern]).may_be_private(host) is may_be


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"),
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"),
        *("169.254.169.254", "fe80::1", "fe80::1%eth0"),
        *("224.0.0.1", "ff02::1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "64:ff9b:1::1",
        ),
    ],
)
def test_an_address_that_is_not_public_is_not_connected_to(address: str) -> None:
    assert not is_public(address)
    assert not is_connectable(address, may_be_private=False)


@pytest.mark.parametrize(
    "address", ["3.220.246.207", "2600:1f18:483:cf00::1", "::ffff:3.220.246.207", "64:ff9b::303:303"]
)
def test_a_public_address_is_connected_to(address: str) -> None:
    assert is_public(address)
    assert is_connectable(address, may_be_private=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "192.168.1.1", "100.64.0.1"])
def test_a_host_named_in_full_may_have_a_private_address(address: str) -> None:
    assert is_connectable(address, may_be_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
def test_the_addresses_where_clouds_keep_credentials_are_never_connected_to(address: str) -> None:
    assert not is_connectable(address, may_be_private=True)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("auth.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("A.B.Example.ORG.", "example.org"),
        ("registry.uni.ac.uk", "uni.ac.uk"),
        ("registry.uio.no", "uio.no"),
        ("a.ecr.eu-north-1.amazonaws.com", "amazonaws.com"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_a_host_has_a_registrable_domain(host: str, domain: str) -> None:
    assert domain_of(host) == domain


@pytest.mark.parametrize(
    ("realm", "registry", "may"),
    [
        ("auth.docker.io", "registry-1.docker.io", True),
        ("ghcr.io", "ghcr.io", True),
        ("gitlab.com", "registry.gitlab.com", True),
        ("api.scaleway.com", "rg.fr-par.scw.cloud", True),
        ("console.scaleway.com", "rg.fr-par.scw.cloud", False),
        ("evil.io", "quay.io", False),
        ("quay.io.evil.io", "quay.io", False),
        ("evil.ac.uk", "registry.uni.ac.uk", False),
        ("10.0.0.2", "10.0.0.1", False),
    ],
)
def test_tokens_come_from_the_registrys_own_domain_or_a_known_host(realm: str, registry: str, may: bool) -> None:
    assert may_issue_tokens(realm, registry) is may
