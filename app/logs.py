"""How hublaunch logs when it runs as a service."""

import logging
import logging.config

from app.api.middleware import WithoutQueries


def configure_logging(level: str) -> None:
    """Lines on standard error: hublaunch's own from `level` on, others' from INFO or, where they chat, WARNING.

    The level of SQL and HTTP libraries stays up whatever `level` is: they would log what passes through them.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"level": "INFO", "handlers": ["stderr"]},
            "loggers": {
                "app": {"level": level},
                "alembic": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "sqlalchemy": {"level": "WARNING"},
            },
        }
    )
    logging.getLogger("uvicorn.access").addFilter(WithoutQueries())
