"""The API keys of applications, in a file that `hublaunch keys` writes and the service reads.

This module imports no web framework and no SQL, so that the command line stays light.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hublaunch.files.json_file import JsonFile
from hublaunch.files.watched import FileFault, WatchedFile
from hublaunch.launch.rules.catalogue import NAME_MAX
from hublaunch.launch.rules.image import ImagePattern

KEY_PREFIX = "hl_"
_OTHERS_MAY_WRITE = 0o022
_NAME_REASON = "must be 1 to 64 characters from a-z, 0-9, `.`, `_` and `-`, and start with a letter or digit"


class KeysFault(FileFault):
    """The file of API keys cannot be used, or a key cannot be added or revoked."""


def _image_pattern(pattern: str) -> str:
    if not (pattern.isascii() and pattern.isprintable()):  # half a surrogate pair could be written, but not read
        raise ValueError("must be a pattern in ASCII, such as quay.io/jupyter/*")
    ImagePattern.parse(pattern)
    return pattern


class ApiKey(BaseModel):
    """The record of a key: its name and rights, but never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    """The hash of the whole key. A fast hash suffices, because a key of 256 random bits cannot be guessed."""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    allowed_images: tuple[Annotated[str, AfterValidator(_image_pattern)], ...] | None = None
    """Image patterns that replace LAUNCHER_ALLOWED_IMAGES."""
    environments: tuple[Annotated[str, Field(pattern=rf"^[a-z0-9][a-z0-9._-]{{0,{NAME_MAX - 1}}}$")], ...] | None = None
    """The environments of the catalogue that the key may launch. A key that lists some and has no image patterns may
    launch no other image."""
    max_active: Annotated[int, Field(ge=1)] | None = None
    """The maximum number of launches in progress or ready at once."""
    may_name_user: bool = False
    """Whether a request may name the Hub user to launch for."""
    is_admin: bool = False
    """Whether the key can see and cancel everybody's launches."""


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    keys: tuple[ApiKey, ...] = ()


class ApiKeys:
    """The keys in a file. The file is checked for each call, so that a revoked key is refused immediately.

    While the file cannot be read, parsed or trusted, no key is accepted.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys. Raises KeysFault if the file cannot be used."""
        self._file = WatchedFile[Sequence[ApiKey]](
            path,
            read_keys,
            describe=lambda keys: f"{len(keys)} API key{'' if len(keys) == 1 else 's'}",
            while_unusable=lambda _: (),
            consequence="Until this is fixed, no API key is accepted.",
        )

    def find(self, key: str) -> ApiKey | None:
        """Return the record of this key, or None if the key is unknown or has expired."""
        self._file.check()
        sha256 = _sha256(key)
        # Every record is compared, so that the duration reveals nothing about the one that matches.
        found = [entry for entry in self._file.content if hmac.compare_digest(entry.sha256, sha256)]
        if not found or (found[0].expires_at is not None and found[0].expires_at <= datetime.now(UTC)):
            return None
        return found[0]

    @property
    def image_patterns(self) -> Sequence[str]:
        """The image patterns of all keys."""
        self._file.check()
        return [pattern for key in self._file.content for pattern in key.allowed_images or ()]


def read_keys(path: Path, *, may_be_missing: bool = False) -> Sequence[ApiKey]:
    """Return the keys in the file; no keys if the file is missing and `may_be_missing` is true.

    Raises KeysFault if the file cannot be read, parsed or trusted.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read()
    except FileNotFoundError as error:
        if may_be_missing:
            return ()
        raise KeysFault(f"There is no file {path}. Create it with `hublaunch keys add`.") from error
    except OSError as error:
        raise KeysFault(f"The API keys in {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise KeysFault(f"The API keys in {path} are not UTF-8. Restore the file.") from error
    if mode & _OTHERS_MAY_WRITE:
        raise KeysFault(f"Users other than the owner can change the API keys in {path}. Run chmod 600 on it.")
    try:
        keys = _Content.model_validate_json(text).keys
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise KeysFault(f"The API keys in {path} are invalid: {place}: {_reason(fault)}.") from None
    for what in ("name", "sha256"):  # a key with two names would survive its revocation
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise KeysFault(f"The API keys in {path} contain the same {what} twice. Remove one of the two.")
    return keys


def add_key(path: Path, **rights: object) -> tuple[ApiKey, str]:
    """Create a key, store its record in the file, and return both. The file is created if it is missing.

    Raises KeysFault for an invalid right, a name that is taken, and a file that cannot be used.
    """
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    try:
        entry = ApiKey.model_validate({**rights, "sha256": _sha256(key), "created_at": datetime.now(UTC)})
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        reason = _NAME_REASON if fault["loc"] == ("name",) else _reason(fault)
        raise KeysFault(f"{fault['loc'][0]}: {reason}.") from None
    with _changing(path) as keys:
        if any(existing.name == entry.name for existing in keys):
            raise KeysFault(f"A key named {entry.name} already exists. Revoke it, or choose another name.")
        keys.append(entry)
    return entry, key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from the file. Raises KeysFault if no key has this name."""
    with _changing(path) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeysFault(f"There is no key named {name} in {path}. `hublaunch keys list` shows all keys.")
        keys[:] = left


@contextmanager
def _changing(path: Path) -> Generator[list[ApiKey]]:
    """Yield the keys, to be changed in place, and store them unless an error is raised."""
    file = JsonFile(path)
    try:
        with file.locked():
            keys = list(read_keys(file.path, may_be_missing=True))
            yield keys
            content = _Content(keys=tuple(keys)).model_dump(mode="json", exclude_defaults=True)
            file.write(content | {"version": 1})
    except OSError as error:
        raise KeysFault(f"The API keys in {file.path} cannot be written: {error.strerror}.") from error


def _reason(fault: ErrorDetails) -> str:
    return fault["msg"].removeprefix("Value error, ")


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
