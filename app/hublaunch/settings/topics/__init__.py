"""The settings by topic. Each class's docstring is the heading under which `make docs` lists its settings."""

from pydantic import BaseModel, ConfigDict


class Topic(BaseModel):
    """Settings, each described by the docstring below it."""

    model_config = ConfigDict(use_attribute_docstrings=True)
