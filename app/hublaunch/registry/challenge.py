"""Challenges: how a registry asks for credentials. RFC 9110, section 11, and the token scheme of distribution.

https://distribution.github.io/distribution/spec/auth/token/
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:[ \t]+(?![ \t=])|$)")
_ESCAPED = re.compile(r"\\(.)")
_HEADER_MAX = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """One way in which the registry accepts credentials."""

    scheme: str
    """In lower case: `bearer`, `basic`."""
    parameters: Mapping[str, str]
    """By names in lower case: `realm`, `service`."""


def challenges(headers: Sequence[str]) -> Sequence[Challenge]:
    """Parse the values of `WWW-Authenticate`. The rest of a value that cannot be parsed is left out."""
    found = []
    for header in headers:
        text, at = header[:_HEADER_MAX], 0
        while scheme := _SCHEME.match(text, at):
            at, parameters = scheme.end(), dict[str, str]()
            while parameter := _PARAMETER.match(text, at):
                name, quoted, plain = parameter.groups()
                parameters[name.lower()] = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                at = parameter.end()
            found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return found
