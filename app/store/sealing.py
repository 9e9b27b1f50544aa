"""Sealing what the log must not hold in clear."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.store.errors import SealedWithAnotherKey


class Sealer:
    """Seals texts so that only the holder of the secret key can read them, or make ones that open.

    Fernet (AES-128-CBC with HMAC-SHA256) under a key of its own, derived from the secret key by HKDF-SHA256, so that
    what else is made from the secret key says nothing of it.
    """

    def __init__(self, secret_key: str) -> None:
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hublaunch: sealing of stored tokens")
        self._fernet = Fernet(urlsafe_b64encode(derivation.derive(secret_key.encode())))

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text that was sealed. SealedWithAnotherKey if it was not sealed with this key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SealedWithAnotherKey from None
