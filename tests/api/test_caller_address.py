"""The address that a request comes from: nobody can choose their own."""

import logging
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from app.api.address import ClientAddress

PROXIES = [ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"), ip_network("fd00::/8")]


def asked_from(address: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
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
def test_x_forwarded_for_is_believed_as_far_as_proxies_are_trusted(
    address: str | None, forwarded: list[str], caller: str
) -> None:
    assert ClientAddress(PROXIES)(asked_from(address, *forwarded)) == caller


@pytest.mark.parametrize(
    "garbage", ["", "unknown", "_hidden", "198.51.100.1:4711", "[2001:db8::5]", "198.51.100", "a" * 5000, ","]
)
def test_what_is_no_address_is_never_a_caller(garbage: str) -> None:
    assert ClientAddress(PROXIES)(asked_from("10.1.2.3", garbage)) == "10.1.2.3"


def test_without_trusted_proxies_the_header_says_nothing() -> None:
    assert ClientAddress([])(asked_from("127.0.0.1", "198.51.100.1")) == "127.0.0.1"


def test_a_proxy_that_nobody_trusts_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    address = ClientAddress(PROXIES)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            address(asked_from("192.168.0.1", "198.51.100.1"))

    (warning,) = caplog.messages
    assert "192.168.0.1" in warning
    assert "LAUNCHER_TRUSTED_PROXIES" in warning


@pytest.mark.parametrize(
    ("address", "forwarded"), [("10.1.2.3", ["198.51.100.1"]), ("9.9.9.9", ["198.51.100.1"]), ("192.168.0.1", [])]
)
def test_nothing_is_warned_of_that_is_no_proxy_or_is_trusted(
    address: str, forwarded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    ClientAddress(PROXIES)(asked_from(address, *forwarded))

    assert caplog.messages == []
