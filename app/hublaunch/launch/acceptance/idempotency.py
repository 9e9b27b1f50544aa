"""Idempotency-Key: recognizes a request that is sent again.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from hublaunch.launch.caller import Caller
from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import LaunchRequest

FIELD = "Idempotency-Key"
KEY_MAX = 255
_ADDED = frozenset({"path", "ref", "environment", "size", "size_options", "content", "opens"})
"""Fields of a request that the first release did not have."""
ANONYMOUS_KEY_MIN = 22
"""128 random bits in base64url. The key alone identifies a shared caller, so it must be hard to guess."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """A caller's key and the request sent with it, both as SHA-256, so that neither can be read from the database."""

    scope: str
    """Digest of the key and its caller."""
    request: str
    """Digest of the request."""


def idempotency_key(sent: str, caller: Caller, request: LaunchRequest) -> IdempotencyKey:
    """Return the key of a request. Raises InvalidRequest if the header is not a valid key.

    All anonymous callers share one space of keys, because an address does not identify a person. So do all holders of
    an invitation.
    """
    key = checked_key(sent)
    if caller.is_shared and len(key) < ANONYMOUS_KEY_MIN:
        raise InvalidRequest(FIELD, f"must have at least {ANONYMOUS_KEY_MIN} random characters")
    owner = "" if caller.kind == "anonymous" else caller.key
    return IdempotencyKey(scope=_digest([caller.kind, owner, key]), request=_digest(_content(request)))


def checked_key(sent: str) -> str:
    """Return the key in the header. Raises InvalidRequest if it is not a valid one.

    A key in quotes, as the draft writes it, equals the key without quotes.
    """
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent
    if not key or len(key) > KEY_MAX or not key.isascii() or not key.isprintable():
        raise InvalidRequest(FIELD, f"must be 1 to {KEY_MAX} printable ASCII characters")
    return key


def _content(request: LaunchRequest) -> dict[str, object]:
    """Return the fields to digest, as they were sent: an environment counts by its name.

    Fields added later are left out when empty, so that stored digests stay valid.
    """
    return {name: value for name, value in asdict(request).items() if value or name not in _ADDED}


def _digest(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
