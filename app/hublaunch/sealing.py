"""Sealing what must not stand in clear where it is kept: in the log, in a browser's cookie."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SealedWithAnotherKey(Exception):
    """What is sealed does not open: not with this key, or it was tampered with."""

    def __init__(self) -> None:
        super().__init__(
            "What was sealed cannot be opened: it was sealed with a secret key that is neither LAUNCHER_SECRET_KEY (or "
            "the one in the file beside the database) nor in LAUNCHER_OLD_SECRET_KEYS."
        )


class Sealer:
    """Seals texts so that only the holder of the secret key can read them, or make ones that open.

    Fernet (AES-128-CBC with HMAC-SHA256) under a key of its own, derived from the secret key by HKDF-SHA256 for one
    `purpose`, so that what else is made from the secret key says nothing of it, and what was sealed for one purpose
    does not open for another. The first of `secret_keys` seals; the others, of earlier times, open as well.
    """

    def __init__(self, secret_keys: Sequence[str], *, purpose: str) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key, purpose)) for key in secret_keys])

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text that was sealed; SealedWithAnotherKey."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SealedWithAnotherKey from None


def _derive(secret_key: str, purpose: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"hublaunch: sealing of {purpose}".encode())
    return urlsafe_b64encode(derivation.derive(secret_key.encode()))
