"""Encryption of tokens in the database and of sessions in cookies."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SealedWithAnotherKey(Exception):
    """A sealed text cannot be opened: it was sealed with another key, or changed."""

    def __init__(self) -> None:
        super().__init__(
            "Stored secrets cannot be opened. They were sealed with a secret key that is neither LAUNCHER_SECRET_KEY "
            "(or the one in the file beside the database) nor in LAUNCHER_OLD_SECRET_KEYS. Add that key to the latter."
        )


class Sealer:
    """Encrypts and authenticates texts, so that only a holder of the secret key can read or make them.

    It uses Fernet (AES-128-CBC with HMAC-SHA256) with a key that HKDF-SHA256 derives from the secret key for one
    `purpose`. A text sealed for one purpose does not open for another. The first of `secret_keys` seals; the others,
    from before a rotation, only open.
    """

    def __init__(self, secret_keys: Sequence[str], *, purpose: str) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key, purpose)) for key in secret_keys])

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Return the text. Raises SealedWithAnotherKey."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SealedWithAnotherKey from None


def _derive(secret_key: str, purpose: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"hublaunch: sealing of {purpose}".encode())
    return urlsafe_b64encode(derivation.derive(secret_key.encode()))
