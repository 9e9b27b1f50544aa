"""How hublaunch logs when it runs as a service."""

import logging
import logging.config

from app.api.middleware import AccessLines


def configure_logging(level: str) -> None:
    """Lines on standard error from `level` on; others than hublaunch's own from INFO or, where they chat, WARNING.

    The level of SQL and HTTP libraries stays up whatever `level` is: they would log what passes through them.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"level": _at_least("INFO", level), "handlers": ["stderr"]},
            "loggers": {
                "app": {"level": level},
                "alembic": {"level": _at_least("WARNING", level)},
                "httpx": {"level": _at_least("WARNING", level)},
                "sqlalchemy": {"level": _at_least("WARNING", level)},
            },
        }
    )
    logging.getLogger("uvicorn.access").addFilter(AccessLines())


def _at_least(least: str, level: str) -> str:
    return max(least, level, key=logging.getLevelNamesMapping().__getitem__)
