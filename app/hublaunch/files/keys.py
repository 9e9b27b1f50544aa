"""API keys of backends, in a file of their own: `hublaunch keys` writes it, the service reads it.

Free of the web and of SQL, so that the command line stays light.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hublaunch.files.fingerprint import fingerprint
from hublaunch.launch.rules.image import ImagePattern

log = logging.getLogger(__name__)

KEY_PREFIX = "hl_"
_OTHERS_MAY_WRITE = 0o022
_NAME_REASON = "must be 1 to 64 of a-z, 0-9, `.`, `_` and `-`, the first a letter or a digit"


class KeysFault(Exception):
    """The file of API keys cannot be used. `str()` names it and says what to do."""


def _image_pattern(pattern: str) -> str:
    if not (pattern.isascii() and pattern.isprintable()):  # half a character could be written, and never read again
        raise ValueError("must be a pattern in ASCII, such as quay.io/jupyter/*")
    ImagePattern.parse(pattern)
    return pattern


class ApiKey(BaseModel):
    """What is kept of a key: who it stands for and what they may do, never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    """Of the whole key. A key has 256 random bits, so nothing slower is needed: it cannot be guessed."""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    allowed_images: tuple[Annotated[str, AfterValidator(_image_pattern)], ...] | None = None
    """Patterns in place of LAUNCHER_ALLOWED_IMAGES."""
    max_active: Annotated[int, Field(ge=1)] | None = None
    """Launches that may be under way or ready at once."""
    may_name_user: bool = False
    """Whether a launch may be for a Hub user that the request names."""
    is_admin: bool = False
    """Whether everybody's launches are seen and may be cancelled."""


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    keys: tuple[ApiKey, ...] = ()


class ApiKeys:
    """The keys in a file, read again whenever it changes, so that one that is revoked is refused at once.

    While the file cannot be read, understood or trusted, no key is taken, and each call tries again.
    """

    def __init__(self, path: Path) -> None:
        """KeysFault if the file cannot be used."""
        self._path = path
        self._seen = fingerprint(path)
        self._keys = read_keys(path)
        self._fault: str | None = None

    def find(self, key: str) -> ApiKey | None:
        """The key that this is; None if it is none, or its time is over."""
        self._read_again_if_changed()
        sha256 = _sha256(key)
        # Every entry is compared, so that the time it takes says nothing of which one it is.
        found = [entry for entry in self._keys if hmac.compare_digest(entry.sha256, sha256)]
        if not found or (found[0].expires_at is not None and found[0].expires_at <= datetime.now(UTC)):
            return None
        return found[0]

    def _read_again_if_changed(self) -> None:
        seen = fingerprint(self._path)
        if seen == self._seen and self._fault is None:
            return
        try:
            self._keys, self._fault = read_keys(self._path), None
        except KeysFault as fault:
            if str(fault) != self._fault:
                log.error("%s Until then no API key is taken.", fault)  # noqa: TRY400 - a sentence is what helps
            self._keys, self._fault = (), str(fault)
        else:
            log.info("%s has changed: %d API keys", self._path, len(self._keys))
        self._seen = seen


def read_keys(path: Path, *, may_be_missing: bool = False) -> Sequence[ApiKey]:
    """The keys in the file; KeysFault if it cannot be read, understood or trusted.

    A file that `may_be_missing` has no keys then.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read()
    except FileNotFoundError as error:
        if may_be_missing:
            return ()
        raise KeysFault(f"The API keys in {path} are not there: `hublaunch keys add` makes the file.") from error
    except OSError as error:
        raise KeysFault(f"The API keys in {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise KeysFault(f"The API keys in {path} are not UTF-8: restore the file.") from error
    if mode & _OTHERS_MAY_WRITE:
        raise KeysFault(f"The API keys in {path} may be changed by others than its owner: chmod 600 it.")
    try:
        keys = _Content.model_validate_json(text).keys
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise KeysFault(f"The API keys in {path} are not what they must be: {place}: {_reason(fault)}.") from None
    for what in ("name", "sha256"):  # one key under two names would outlive its revocation
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise KeysFault(f"The API keys in {path} have a {what} twice: take one of them out.")
    return keys


def add_key(path: Path, **rights: object) -> tuple[ApiKey, str]:
    """Make a key of these rights and keep it in the file, which is made if need be; the key itself is not kept.

    KeysFault if the name is taken or is none, or the file cannot be used.
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
            raise KeysFault(f"There is a key of the name {entry.name} already: revoke it, or take another name.")
        keys.append(entry)
    return entry, key


def revoke_key(path: Path, name: str) -> None:
    """Take a key out of the file. KeysFault if there is none of this name."""
    with _changing(path) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeysFault(f"There is no key of this name in {path}: `hublaunch keys list` shows them.")
        keys[:] = left


@contextmanager
def _changing(path: Path) -> Generator[list[ApiKey]]:
    """The keys, to be changed in place by one process at a time; they are kept as a whole, and not after an error.

    Where `path` is a link, what it leads to is changed: the service may read that by another way.
    """
    path = Path(os.path.realpath(path))
    try:
        with path.with_name(f"{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(read_keys(path, may_be_missing=True))
            yield keys
            _write(path, _Content(keys=tuple(keys)))
    except OSError as error:
        raise KeysFault(f"The API keys in {path} cannot be written: {error.strerror}.") from error


def _write(path: Path, content: _Content) -> None:
    text = json.dumps(content.model_dump(mode="json", exclude_defaults=True) | {"version": 1}, indent=2)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f"{path.name}.", encoding="utf-8", delete=False) as file:
        draft = Path(file.name)
        try:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
            if path.exists():  # may belong to the service's user, who is not always the one who changes it
                before = path.stat()
                os.fchmod(file.fileno(), before.st_mode & 0o777)
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)  # it is there if it could not be kept


def _reason(fault: ErrorDetails) -> str:
    return fault["msg"].removeprefix("Value error, ")


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
