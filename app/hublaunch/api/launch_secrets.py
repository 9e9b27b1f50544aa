"""The ids and secrets of launches."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from secrets import token_bytes

from ulid import ULID

_TIME_BYTES, _RANDOM_BYTES, _MARK_BYTES = 6, 5, 5
"""The parts of a launch's id: its time in milliseconds, random bytes, and the mark of the key."""


class LaunchSecrets:
    """Makes the ids of launches, and derives each launch's secret as an HMAC of its id with the service's key.

    The last five bytes of an id are the mark of the key that made it: an HMAC of the bytes before them. So a launch
    keeps its secret when keys are rotated, and an earlier key opens no later launch, whatever the clocks of the
    replicas say. The first of `secret_keys` makes ids; the others are earlier keys.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in secret_keys]
        self._last = 0

    def new_id(self) -> str:
        """Return a new launch id, later in order than every id made here: a ULID with the key's mark at its end."""
        drawn = int.from_bytes(ULID().bytes[:_TIME_BYTES] + token_bytes(_RANDOM_BYTES))
        self._last = max(drawn, self._last + 1)
        head = self._last.to_bytes(_TIME_BYTES + _RANDOM_BYTES)
        return str(ULID(head + _mark(self._keys[0], head)))

    def of(self, launch_id: str) -> str:
        """Return the launch's secret: 43 characters, safe in a URL. If no key made the id, the first key is used."""
        ulid = ULID.from_str(launch_id).bytes
        head, mark = ulid[:-_MARK_BYTES], ulid[-_MARK_BYTES:]
        key = next((key for key in self._keys if hmac.compare_digest(_mark(key, head), mark)), self._keys[0])
        digest = hmac.digest(key, b"launch:" + launch_id.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def opens(self, launch_id: str, secret: str | None) -> bool:
        """Return whether this is the launch's secret, compared in constant time."""
        return secret is not None and hmac.compare_digest(self.of(launch_id).encode(), secret.encode())


def _mark(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, b"id:" + head, hashlib.sha256)[:_MARK_BYTES]
