"""How hublaunch logs when it runs as a service."""

import logging
import logging.config
from typing import Any

from app.api.middleware import AccessLines

LINE_MAX = 2000


class Lines(logging.Formatter):
    """One line a record, whatever words of others are in it, and below it the traceback, indented.

    So nobody can write a line that looks like one of ours: neither by a line break, nor by what a terminal obeys, nor
    by characters that reorder or hide text.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return _one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(f"    {_one_line(line)}" for line in super().formatException(ei).split("\n"))


def _one_line(text: str) -> str:
    text = text.rstrip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:LINE_MAX])
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"


def configure_logging(level: str) -> None:
    """Lines on standard error from `level` on; others than hublaunch's own from INFO or, where they chat, WARNING.

    The level of SQL and HTTP libraries stays up whatever `level` is: they would log what passes through them.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "lines": {"()": Lines, "fmt": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"level": _at_least("INFO", level), "handlers": ["stderr"]},
            "loggers": {
                "app": {"level": level},
                "alembic": {"level": _at_least("WARNING", level)},
                "httpx": {"level": _at_least("WARNING", level)},
                "sqlalchemy": {"level": _at_least("WARNING", level)},
            },
        }
    )
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).addFilter(AccessLines())


def _at_least(least: str, level: str) -> str:
    return max(least, level, key=logging.getLevelNamesMapping().__getitem__)
