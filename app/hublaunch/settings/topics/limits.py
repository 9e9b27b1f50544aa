"""Settings of quotas and rate limits."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import Rate, Rates


class LimitSettings(Topic):
    """Quotas and rate limits: docs/quotas.md, docs/limits.md."""

    anonymous_quota: int = Field(500, ge=0)
    """Launches without credentials that one address (an IPv6 /64) may have in progress or ready; 0 means no quota. A
    rule for anonymous callers in the limits file takes precedence.
    """
    limits_file: Path | None = Field(None, examples=["limits.yaml"])
    """YAML or JSON file of quotas by caller, repository and image, and in total. It is read again when it changes."""
    rate_limit_caller: Rate = (600, 60)
    """Launches that one Hub user, API key or invitation may request, as NUMBER/SECONDS or off. NUMBER may come in one
    burst, and as many again over SECONDS.
    """
    rate_limit_address: Rate = (1800, 60)
    """Launches that may be requested from one address (an IPv6 /64), as NUMBER/SECONDS or off. Behind a proxy, set
    LAUNCHER_TRUSTED_PROXIES too.
    """
    rate_limit_credentials: Rate = (100, 60)
    """Wrong API keys, Hub tokens and invitation codes that may come from one address, as NUMBER/SECONDS or off."""
    rate_limits: Rates = Field({}, examples=['{"key:course-*": "5000/60", "address:192.0.2.7": "off"}'])
    """Launches that particular callers or addresses may request, as a JSON object from glob patterns to NUMBER/SECONDS
    or off. The first matching pattern counts.
    """
    rate_limit_store: Literal["memory", "database", "off"] = "memory"
    """Where requests are counted: memory (each process for itself), database (over all replicas and across restarts) or
    off (no rate limits).
    """
