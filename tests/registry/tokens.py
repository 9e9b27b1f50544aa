"""A token server for a real registry: it signs tokens that the registry trusts.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from tests.registry.asking import response
from tests.registry.real import PASSWORD, USER

SERVICE, ISSUER = "registry of the tests", "token server of the tests"
_BASIC = f"basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


@dataclass(frozen=True)
class TokenServer:
    """Answers with a token that lets USER pull, and everybody else do nothing."""

    certificate: Path
    key: Path

    def respond(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        asked = parse_qs(urlsplit(target).query)
        assert asked["service"] == [SERVICE]
        kind, name, actions = asked["scope"][0].split(":")
        may = headers.get("authorization", "") == _BASIC.lower()
        access = [{"type": kind, "name": name, "actions": actions.split(",")}] if may else []
        return response(200, json.dumps({"token": self._token(access)}).encode())

    def _token(self, access: list[dict[str, Any]]) -> str:
        certificate = load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + 60, "nbf": now - 5, "iat": now, "jti": "1"}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims | {"access": access}))
        key = load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        numbers = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(b''.join(number.to_bytes(32, 'big') for number in numbers))}"

    def configuration(self, realm: str) -> dict[str, Any]:
        """Return the registry's configuration of this token server."""
        token = {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self.certificate)}
        return {"token": token}


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
