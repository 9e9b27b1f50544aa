"""The log of the service: lines for people, or one JSON object per line for machines."""

import logging
import logging.config
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from structlog.typing import EventDict

from hublaunch.api.middleware.access_log import ACCESS_FIELDS, UvicornLogFilter, request_id
from hublaunch.launch.log_context import current_attempt

LINE_MAX = 2000
TRACEBACK_MAX = 20_000

LogFormat = Literal["auto", "text", "json"]


class SafeLines(logging.Formatter):
    """Formats any record as one line, with its traceback below it, indented.

    So no text from outside can forge a line of the log: not with line breaks, control characters, or characters that
    reorder or hide text. The line ends with the ids of the launch, attempt and request, unless it contains them.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        line = _one_line(super().formatMessage(record))
        about = " ".join(f"{name}={value}" for name, value in _about().items() if str(value) not in record.message)
        return f"{line} [{about}]" if about else line

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(f"    {_one_line(line)}" for line in super().formatException(ei).split("\n"))


def _one_line(text: str) -> str:
    text = text.rstrip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:LINE_MAX])
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"


def _about() -> dict[str, str | int]:
    """Return the ids of the current launch, attempt and request, if any."""
    about: dict[str, str | int] = {}
    if attempt := current_attempt.get():
        about |= {"launch_id": attempt.launch_id, "attempt": attempt.number}
    if given := request_id.get():
        about["request_id"] = given
    return about


def _json_formatter() -> logging.Formatter:
    """Return a formatter for one JSON object per line, in ASCII, so that no outside text can forge or hide a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _add_facts,
            structlog.stdlib.ExtraAdder(allow=ACCESS_FIELDS),
            structlog.processors.format_exc_info,
            _shorten,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )


def _add_facts(_: object, __: str, line: EventDict) -> EventDict:
    record: logging.LogRecord = line["_record"]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, "level": record.levelname, "logger": record.name, **line, **_about()}


def _shorten(_: object, __: str, line: EventDict) -> EventDict:
    for name, most in (("event", LINE_MAX), ("exception", TRACEBACK_MAX)):
        if len(line.get(name, "")) > most:
            line[name] = line[name][: most - 1] + "…"
    return line


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Log to standard error: hublaunch's records from `level` on, those of libraries from INFO or WARNING on.

    `auto` is text on a terminal and JSON elsewhere. SQL and HTTP libraries never log below WARNING, because they would
    log secrets. uvicorn's lines for requests are off, because `hublaunch.access` has its own.
    """
    if log_format == "auto":
        log_format = "text" if sys.stderr.isatty() else "json"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "text": {"()": SafeLines, "fmt": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
                "json": {"()": _json_formatter},
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": log_format}},
            "root": {"level": _at_least("INFO", level), "handlers": ["stderr"]},
            "loggers": {
                "hublaunch": {"level": level},
                "alembic": {"level": _at_least("WARNING", level)},
                "httpx": {"level": _at_least("WARNING", level)},
                "sqlalchemy": {"level": _at_least("WARNING", level)},
                "uvicorn.access": {"level": _at_least("WARNING", level)},
            },
        }
    )
    logging.getLogger("uvicorn.error").addFilter(UvicornLogFilter())


def _at_least(least: str, level: str) -> str:
    return max(least, level, key=logging.getLevelNamesMapping().__getitem__)
