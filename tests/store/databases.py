"""Marks for tests of one database only."""

import pytest

sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""Marks tests of SQLite's own features: its file, its pragmas, its locks."""
postgresql_only = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
"""Marks tests that need a database shared by several processes."""
