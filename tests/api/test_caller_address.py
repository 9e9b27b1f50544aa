"""The address by which an anonymous caller is known: nobody can choose their own."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from app.api.auth import anonymous_caller

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
        (None, ["198.51.100.1"], ""),
    ],
)
def test_x_forwarded_for_is_believed_as_far_as_proxies_are_trusted(
    address: str | None, forwarded: list[str], caller: str
) -> None:
    assert anonymous_caller(asked_from(address, *forwarded), PROXIES).key == caller


@pytest.mark.parametrize(
    "garbage", ["", "unknown", "_hidden", "198.51.100.1:4711", "[2001:db8::5]", "198.51.100", "a" * 5000, ","]
)
def test_what_is_no_address_is_never_a_caller(garbage: str) -> None:
    assert anonymous_caller(asked_from("10.1.2.3", garbage), PROXIES).key == "10.1.2.3"


def test_without_trusted_proxies_the_header_says_nothing() -> None:
    assert anonymous_caller(asked_from("127.0.0.1", "198.51.100.1"), []).key == "127.0.0.1"
