"""Logs, metrics, traces and the audit log."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hublaunch.settings.topics import Topic
from hublaunch.settings.types import HttpUrl


class ObservingSettings(Topic):
    """Logs, metrics and traces: docs/observing.md, docs/metrics.md."""

    metrics_port: int | None = Field(None, ge=0, le=65535, examples=["9083"])
    """Separate port for /metrics; 0 picks a free port. If not set, /metrics has no port of its own."""
    metrics_host: str = Field("127.0.0.1", min_length=1)
    """Address on which the metrics port listens; 0.0.0.0 for all."""
    metrics_public: bool = False
    """Serve /metrics on the public port too, to anybody."""
    traces_url: HttpUrl | None = Field(None, examples=["http://collector:4318/v1/traces"])
    """URL of a collector that takes traces as OTLP over HTTP. Requires hublaunch[otel]."""
    audit_log: Path | None = Field(None, examples=["audit.jsonl"])
    """File to which each launch, cancellation and change is appended, with its caller, as one line of JSON; - is
    standard output.
    """
    log_format: Literal["auto", "text", "json"] = "auto"
    """Format of the log: text, json, or auto (text on a terminal, json elsewhere)."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level to log."""
