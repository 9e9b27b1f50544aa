"""Idempotency-Key: by which a request that is sent again is known for what it is.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from hublaunch.launch.errors import InvalidRequest
from hublaunch.launch.model import Caller, LaunchRequest

FIELD = "Idempotency-Key"
KEY_MAX = 255
ANONYMOUS_KEY_MIN = 22
"""128 random bits in base64url. Nobody else vouches for an anonymous caller: the key is all that shows who it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """A caller's key and the request that came with it, both as SHA-256, so that neither can be read from a store."""

    scope: str
    """Of the key and whose it is: the same for the same key of the same caller alone."""
    request: str
    """Of what is asked for."""


def idempotency_key(sent: str, caller: Caller, request: LaunchRequest) -> IdempotencyKey:
    """The key of a request; InvalidRequest if what was sent cannot be one.

    `"…"`, as the draft has it, and the same without quotes are one key. Anonymous callers share one space of keys, as
    an address is nobody's own.
    """
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent
    if not key or len(key) > KEY_MAX or not key.isascii() or not key.isprintable():
        raise InvalidRequest(FIELD, f"must be 1 to {KEY_MAX} printable ASCII characters")
    if caller.kind == "anonymous" and len(key) < ANONYMOUS_KEY_MIN:
        raise InvalidRequest(FIELD, f"must have at least {ANONYMOUS_KEY_MIN} characters, and be random")
    owner = "" if caller.kind == "anonymous" else caller.key
    return IdempotencyKey(scope=_digest([caller.kind, owner, key]), request=_digest(_content(request)))


def _content(request: LaunchRequest) -> dict[str, object]:
    """What is asked for. What came to requests later counts only where it is given, so that earlier digests stay."""
    content = asdict(request)
    return content if request.path else {name: content[name] for name in content if name != "path"}


def _digest(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
