"""The address that a request comes from, which callers cannot forge."""

import logging
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from hublaunch.api.callers.address import ClientAddress
from hublaunch.api.callers.unnamed_proxy import KEPT_S, UnnamedProxy
from hublaunch.settings import Settings
from tests.support.clock import Clock
from tests.support.served import BODY, serve

PROXIES = [ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"), ip_network("fd00::/8")]


def ignore(_: str) -> None:
    """Return an address finder that reports no proxies."""


def asked_from(address: str | None, *forwarded: str, rfc7239: tuple[str, ...] = ()) -> Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    headers += [(b"forwarded", line.encode()) for line in rfc7239]
    client = None if address is None else (address, 40000)
    return Request({"type": "http", "client": client, "headers": headers})


@pytest.mark.parametrize(
    ("address", "forwarded", "caller"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6, 198.51.100.1, 192.0.2.7"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6, 198.51.100.1, 192.0.2.8, 192.0.2.7"], "192.0.2.8"),
        ("10.1.2.3", ["6.6.6.6", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
        ("10.1.2.3", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.1.2.3", [" 198.51.100.1 "], "198.51.100.1"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("2001:db8::9", ["2001:db8::5"], "2001:db8::9"),
        ("::ffff:203.0.113.5", [], "203.0.113.5"),
        ("::ffff:10.1.2.3", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("unix socket", ["198.51.100.1"], "unix socket"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_x_forwarded_for_is_read_past_trusted_proxies(address: str | None, forwarded: list[str], caller: str) -> None:
    assert ClientAddress(PROXIES, unnamed=ignore)(asked_from(address, *forwarded)) == caller


@pytest.mark.parametrize(
    "garbage",
    [
        *("", "unknown", "_hidden", "198.51.100", "a" * 5000, ",", "198.51.100.1:x", "[2001:db8::5"),
        *("[2001:db8::5]443", "198.51.100.1:123456", '"', "[]:1"),
    ],
)
def test_text_that_is_not_an_address_is_never_a_caller(garbage: str) -> None:
    assert ClientAddress(PROXIES, unnamed=ignore)(asked_from("10.1.2.3", garbage)) == "10.1.2.3"


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert ClientAddress([], unnamed=ignore)(asked_from("127.0.0.1", "198.51.100.1")) == "127.0.0.1"


@pytest.mark.parametrize("address", ["192.168.0.1", "100.64.0.7", "127.0.0.1", "fe80::1"])
def test_an_untrusted_private_proxy_is_reported(address: str) -> None:
    told: list[str] = []

    ClientAddress([], unnamed=told.append)(asked_from(address, "198.51.100.1"))

    assert told == [address]


def test_an_unnamed_proxy_is_logged_once_and_reported_while_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    proxy = UnnamedProxy(clock)
    before = proxy.report()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            proxy.note("192.168.0.1")
    clock.now += KEPT_S - 1
    meanwhile = proxy.report()
    clock.now += 1

    assert (before, meanwhile, proxy.report()) == (None, "192.168.0.1", None)
    (warning,) = caplog.messages
    assert "192.168.0.1" in warning
    assert "LAUNCHER_TRUSTED_PROXIES" in warning


async def test_readyz_reports_an_unnamed_proxy(settings: Settings) -> None:
    async with serve(settings) as service:
        before = (await service.http.get("/readyz")).json()["unnamed_proxy"]
        await service.http.post("/launch", json=BODY, headers={"X-Forwarded-For": "198.51.100.1"})
        after = (await service.http.get("/readyz")).json()

    assert (before, after["unnamed_proxy"], after["ready"]) == (None, "127.0.0.1", True)


@pytest.mark.parametrize(
    ("address", "forwarded"), [("10.1.2.3", ["198.51.100.1"]), ("9.9.9.9", ["198.51.100.1"]), ("192.168.0.1", [])]
)
def test_other_addresses_and_trusted_proxies_are_not_reported(address: str, forwarded: list[str]) -> None:
    told: list[str] = []

    ClientAddress(PROXIES, unnamed=told.append)(asked_from(address, *forwarded))

    assert told == []


@pytest.mark.parametrize(
    ("hop", "caller"),
    [
        ("198.51.100.1:50001", "198.51.100.1"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
        ("[::ffff:198.51.100.1]:443", "198.51.100.1"),
        ("6.6.6.6:1, 198.51.100.1:2, 192.0.2.7:3", "198.51.100.1"),
    ],
)
def test_a_hop_may_have_a_port(hop: str, caller: str) -> None:
    assert ClientAddress(PROXIES, unnamed=ignore)(asked_from("10.1.2.3", hop)) == caller


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        (["for=198.51.100.1"], "198.51.100.1"),
        (["For=198.51.100.1;proto=https;by=203.0.113.43"], "198.51.100.1"),
        (['for="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
        (['for="198.51.100.1:50001"'], "198.51.100.1"),
        (['for=6.6.6.6, for=198.51.100.1;host="a,b;for=9.9.9.9", for=192.0.2.7'], "198.51.100.1"),
        (["for=6.6.6.6", "for=198.51.100.1", "for=10.9.9.9"], "198.51.100.1"),
        (["for=6.6.6.6", "for=198.51.100.1;"], "198.51.100.1"),
        (["for=6.6.6.6", "proto=https;"], "10.1.2.3"),
        (["for=_hidden"], "10.1.2.3"),
        (["for=unknown"], "10.1.2.3"),
        (["proto=https"], "10.1.2.3"),
        (['for="', "for=198.51.100.1"], "198.51.100.1"),
        (['for=", for=198.51.100.1'], "10.1.2.3"),
        (["for=198.51.100.1 for=6.6.6.6"], "10.1.2.3"),
        (["\\" * 5000], "10.1.2.3"),
        (['for="' + "\\" * 5001], "10.1.2.3"),
    ],
)
def test_forwarded_is_parsed_as_in_rfc_7239(lines: list[str], caller: str) -> None:
    assert ClientAddress(PROXIES, unnamed=ignore)(asked_from("10.1.2.3", rfc7239=tuple(lines))) == caller


@pytest.mark.parametrize(
    ("one", "other", "caller"),
    [("198.51.100.1", "198.51.100.1:5", "198.51.100.1"), ("198.51.100.1", "6.6.6.6", "10.1.2.3")],
)
def test_headers_count_only_if_they_agree(one: str, other: str, caller: str, caplog: pytest.LogCaptureFixture) -> None:
    request = asked_from("10.1.2.3", one, rfc7239=(f'for="{other}"',))

    assert ClientAddress(PROXIES, unnamed=ignore)(request) == caller
    assert ("differ" in caplog.text) == (caller == "10.1.2.3")


def test_a_proxy_without_addresses_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    address = ClientAddress(PROXIES, unnamed=ignore)

    for _ in range(3):
        address(asked_from("10.1.2.3", "unknown"))

    assert len(caplog.messages) == 1
    assert "10.1.2.3" in caplog.messages[0]
