"""Settings of the database: its place, how long launches are kept, and the keys that seal their tokens."""

from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import AS_WORDS


class DatabaseSettings(Topic):
    """The database: docs/replicas.md."""

    database_url: str = "sqlite:///hublaunch.sqlite"
    """Database of the launches: sqlite:///FILE for one process, or postgresql+psycopg://user:password@host/database for
    several replicas.
    """
    min_free_space: int = Field(100, ge=0)
    """MiB of free disk space below which a SQLite database accepts no launch; 0 turns the check off."""
    lease_s: float = Field(15, ge=1)
    """Seconds without a heartbeat before another process takes over a launch."""
    idempotency_ttl: float = Field(86400, ge=0)
    """Seconds for which a request repeated with its Idempotency-Key gets the same launch. While that launch is in
    progress, every repeated request gets it.
    """
    retention: float = Field(2592000, gt=0)
    """Seconds that an ended launch is kept, counted from its acceptance; the default is 30 days."""
    secret_key: SecretStr | None = Field(None, min_length=32)
    """Secret that seals stored tokens and signs launch secrets, the same for all replicas. With SQLite it is created
    beside the file (mode 0600) if not set.
    """
    old_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, AS_WORDS] = ()
    """Earlier secret keys, after a rotation. They still open secrets that they sealed, and seal nothing new."""

    @field_validator("retention")
    @classmethod
    def _retention(cls, value: float, known: ValidationInfo) -> float:
        if value < known.data.get("idempotency_ttl", 0):
            raise ValueError("must not be shorter than LAUNCHER_IDEMPOTENCY_TTL, or a key would be forgotten too soon")
        return value
