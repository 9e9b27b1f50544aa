"""Marks for tests of one database only."""

import pytest

sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""For what is SQLite's own: its file, its pragmas, its locks."""
postgresql_only = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
"""For what only a database that several processes share can show."""
