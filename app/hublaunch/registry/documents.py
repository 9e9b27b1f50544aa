"""The JSON of registries: manifests, indexes of manifests by platform, errors, and tokens."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS)).encode()
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_ABSENT = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN"})
_UNKNOWN_PLATFORM = "unknown/unknown"
"""The platform that buildx gives an attestation, which is not an image."""


class _Platform(BaseModel):
    os: str = Field("", max_length=64)
    architecture: str = Field("", max_length=64)
    variant: str = Field("", max_length=64)


class _Listed(BaseModel):
    platform: _Platform = _Platform()


class _Document(BaseModel):
    schema_version: int = Field(alias="schemaVersion", ge=2, le=2)
    media_type: str = Field("", alias="mediaType")
    manifests: list[_Listed] | None = None


class _Error(BaseModel):
    code: str = ""


class _Token(BaseModel):
    token: str = Field("", max_length=16_384)
    access_token: str = Field("", max_length=16_384)


class _Errors(BaseModel):
    errors: list[_Error] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or an index of manifests."""

    digest: str
    platforms: tuple[str, ...] | None
    """The platforms of an index, such as `linux/arm64/v8`; None for a manifest, which does not say."""

    def is_for(self, wanted: Sequence[str]) -> bool:
        """Return whether an index has a manifest for one of the wanted platforms; a variant need not be named."""
        if not wanted or self.platforms is None:
            return True
        return any(has == one or has.startswith(f"{one}/") for has in self.platforms for one in wanted)


def is_index(content_type: str) -> bool:
    """Return whether a body of this type is an index."""
    return content_type.partition(";")[0].strip().lower() in _INDEXES


def digest_in(text: str) -> str | None:
    """Return the digest in the header `Docker-Content-Digest`, or None if it is not one."""
    return text if _DIGEST.fullmatch(text) else None


def read_manifest(body: bytes, *, digest: str | None) -> Manifest | None:
    """Return the manifest in a body, or None if it is not one. Without a `digest` the body's own SHA-256 counts."""
    try:
        document = _Document.model_validate_json(body)
    except ValidationError:
        return None
    platforms = None
    if document.manifests is not None:
        named = [one.platform for one in document.manifests]
        texts = ("/".join(filter(None, (one.os, one.architecture, one.variant))) for one in named)
        platforms = tuple(dict.fromkeys(text for text in texts if text and text != _UNKNOWN_PLATFORM))
    return Manifest(digest=digest or f"sha256:{hashlib.sha256(body).hexdigest()}", platforms=platforms)


def says_absent(body: bytes) -> bool:
    """Return whether the body of a 404 says that the registry has no such manifest or repository."""
    try:
        return any(error.code in _ABSENT for error in _Errors.model_validate_json(body).errors)
    except ValidationError:
        return False


def token_in(body: bytes) -> bytes | None:
    """Return the token in a token server's answer, or None. The token becomes part of a header, so it is one word."""
    try:
        found = _Token.model_validate_json(body)
    except ValidationError:
        return None
    token = found.token or found.access_token
    is_word = token.isascii() and token.isprintable() and " " not in token
    return token.encode() if token and is_word else None
