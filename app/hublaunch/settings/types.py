"""The types of settings: text of the environment, parsed, checked and normalized."""

import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode


def _base_url(value: str) -> str:
    """Return an http(s) URL that ends in `/`, so that paths can be joined to it."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL such as https://hub.example.org/")
    if url.username is not None or url.query or url.fragment:
        raise ValueError("must be a URL without credentials, a query or a fragment")
    if url.path.rstrip("/").endswith("/hub/api"):
        raise ValueError("must be the address above /hub/api, such as http://hub:8081/")
    return value.replace(url.netloc, _ascii(url.netloc), 1).rstrip("/") + "/"


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_ascii, value))


def _ascii(host: str) -> str:
    """Return a host, with its port if any, as browsers send it: non-ASCII letters as `xn--…`."""
    if host.isascii():
        return host
    import httpx  # noqa: PLC0415  # it takes longer to import than the rest of a command

    try:
        return httpx.URL(f"//{host}").netloc.decode()
    except httpx.InvalidURL:
        raise ValueError("must have a host name that browsers can open") from None


def _http_url(value: str) -> str:
    """Check an http(s) URL, and return it unchanged."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL such as http://collector:4318/v1/traces")
    if url.username is not None:
        raise ValueError("must be a URL without credentials; OTEL_EXPORTER_OTLP_HEADERS takes them")
    return value


def _link(value: str) -> str:
    """Check the target of a link on a page, and return it unchanged."""
    url = urlsplit(value)
    if not (url.scheme in ("http", "https") and url.hostname) and not (url.scheme == "mailto" and "@" in url.path):
        raise ValueError("must be a URL such as https://www.example.org/help, or mailto: with an address")
    return value


def _logo(value: str) -> str:
    """Check the address of an image, whose origin goes into the Content-Security-Policy, and return it unchanged."""
    url = urlsplit(value)
    is_http = _ORIGIN.fullmatch(f"{url.scheme}://{url.netloc}".lower()) is not None
    if not is_http and not _IMAGE.fullmatch(value):
        raise ValueError("must be a URL such as https://www.example.org/logo.svg, or data:image/…;base64,…")
    return value


_IMAGE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/]+=*")


def _url_prefix(value: str) -> str:
    """Return a percent-encoded path that begins with `/` and does not end with it; `""` for the root."""
    path = quote(value.strip("/"), safe=_UNQUOTED)
    plain = unquote(path)
    if " " in value or not plain.isprintable() or _NOT_IN_A_PREFIX.search(plain) or _ENCODED_SLASH_OR_NONE.search(path):
        raise ValueError("must be a path such as /services/hublaunch/, percent-encoded where a URL needs it")
    return f"/{path}" if path else ""


_UNQUOTED = "/%@~!$&'()*+=:"
"""All characters that a path may contain, except the separators of a cookie's attributes."""
_NOT_IN_A_PREFIX = re.compile(r"[\\{}?#\ufffd]|//|(?:^|/)\.\.?(?:/|$)")
_ENCODED_SLASH_OR_NONE = re.compile("%(?![0-9A-Fa-f]{2})|%2[Ff]")


def _words(value: object) -> object:
    """Parse a list in JSON, or separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON list of strings, or words separated by commas") from None
    return [word for part in value.split(",") if (word := part.strip())]


def _object(value: object) -> object:
    """Parse a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be a JSON object such as {"group": ["quay.io/org/*"]}') from None


def _networks(value: object) -> object:
    words = _words(value)
    if not isinstance(words, list):
        return words
    try:
        return [ip_network(word, strict=False) for word in words]
    except ValueError:
        raise ValueError("each must be an address or a network such as 192.0.2.0/28") from None


_ORIGIN = re.compile(r"https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""An origin as browsers send it. It goes into a header unchanged, so it must not contain separators of headers."""


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(origin.lower() for origin in value)
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("each must be an origin such as https://book.example.org, without a path and without *")
    return origins


def _ancestors(value: tuple[str, ...]) -> tuple[str, ...]:
    ancestors = tuple(ancestor.lower() for ancestor in value)
    if not all(ancestor == "self" or _ORIGIN.fullmatch(ancestor) for ancestor in ancestors):
        raise ValueError("each must be an origin such as https://book.example.org, or self, without a path")
    return ancestors


def _weights(value: Mapping[str, float]) -> Mapping[str, float]:
    if not all(weight > 0 for weight in value.values()):
        raise ValueError("each must be above 0")
    return value


def _rate(value: object) -> object:
    """Parse a rate: `600/60` allows 600 at once, and as many again over 60 seconds. None for `off`."""
    if not isinstance(value, str):
        return value
    if value == "off":
        return None
    if not (found := _RATE.fullmatch(value)) or int(found[1]) > _RATE_MOST or int(found[2]) > _RATE_LONGEST_S:
        raise ValueError("must be NUMBER/SECONDS such as 600/60, of at most 1000000 in at most 86400 seconds; or off")
    return int(found[1]), int(found[2])


_RATE = re.compile("([1-9][0-9]{0,6})/([1-9][0-9]{0,4})")
_RATE_MOST, _RATE_LONGEST_S = 1_000_000, 86_400

_PLATFORM = re.compile("[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?")


def _platforms(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_PLATFORM.fullmatch, value)):
        raise ValueError("each must be a platform such as linux/amd64 or linux/arm/v7")
    return value


AS_WORDS = BeforeValidator(_words)
"""Parses a list, in JSON or separated by commas. Needs `NoDecode`."""

HttpUrl = Annotated[str, AfterValidator(_http_url)]
Link = Annotated[str, AfterValidator(_link)]
Logo = Annotated[str, AfterValidator(_logo)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Words = Annotated[tuple[str, ...], NoDecode, AS_WORDS]
WordsByName = Annotated[Mapping[str, tuple[str, ...]], NoDecode, BeforeValidator(_object)]
TextByName = Annotated[Mapping[str, str], NoDecode, BeforeValidator(_object)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
UrlPrefix = Annotated[str, BeforeValidator(_url_prefix)]
Hosts = Annotated[Words, AfterValidator(_hosts)]
Origins = Annotated[Words, AfterValidator(_origins)]
Ancestors = Annotated[Words, AfterValidator(_ancestors)]
Platforms = Annotated[Words, AfterValidator(_platforms)]
Weights = Annotated[Mapping[str, float], NoDecode, BeforeValidator(_object), AfterValidator(_weights)]
Rate = Annotated[tuple[int, int] | None, NoDecode, BeforeValidator(_rate)]
"""A number, and the seconds in which it is regained; None means no limit."""
Rates = Annotated[Mapping[str, Rate], NoDecode, BeforeValidator(_object)]
