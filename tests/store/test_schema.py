"""Migrations create the tables of `tables.py`, and run only when needed."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from hublaunch.store import schema
from hublaunch.store.errors import DatabaseUnusable, SchemaUnknown
from hublaunch.store.migrations import configuration, knows
from hublaunch.store.sqlite import SqliteDatabase
from hublaunch.store.tables import metadata


@pytest.fixture
def migrated(path: Path) -> Path:
    database = SqliteDatabase(path, readers=1)
    database.open()
    database.close()
    return path


def definitions(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    connection.close()
    return {re.sub(r"\s+", " ", sql).strip() for sql in found if "alembic_version" not in sql}


def test_the_migrations_lead_to_the_tables(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}")

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_the_migrations_create_the_same_sqlite_schema_as_the_tables(migrated: Path, tmp_path: Path) -> None:
    created = tmp_path / "created.sqlite"
    engine = create_engine(f"sqlite:///{created}")
    metadata.create_all(engine)
    engine.dispose()

    assert definitions(migrated) == definitions(created)


def test_the_version_of_the_code_is_that_of_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == schema.HEAD
    assert knows(schema.HEAD)


@pytest.mark.parametrize("version", ["9999", "4621fec11365"], ids=["a-newer-one", "the-hub's-own"])
def test_an_unknown_version_is_refused_on_one_line(migrated: Path, version: str) -> None:
    connection = sqlite3.connect(migrated)
    connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.commit()
    connection.close()

    with pytest.raises(SchemaUnknown, match=f"version {version}, which a newer hublaunch") as refusal:
        SqliteDatabase(migrated, readers=1).open()

    assert "\n" not in str(refusal.value)


def test_an_interrupted_first_migration_is_run_again(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.close()
    database = SqliteDatabase(path, readers=1)

    database.open()
    database.close()

    assert any(sql.startswith("CREATE TABLE launch_events") for sql in definitions(path))


def test_a_migration_that_fails_leaves_nothing_of_itself(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE launch_events (foreign_to_us)")
    connection.close()

    with pytest.raises(DatabaseUnusable, match="table launch_events already exists"):
        SqliteDatabase(path, readers=1).open()

    assert definitions(path) == {"CREATE TABLE launch_events (foreign_to_us)"}


def test_alembic_is_imported_only_when_a_migration_is_due(migrated: Path, tmp_path: Path) -> None:
    program = """
import asyncio, sys
from hublaunch.sealing import Sealer
from hublaunch.store.sql import SqlLaunchStore

async def main():
    for url in sys.argv[1:]:
        async with SqlLaunchStore(url, sealer=Sealer(["0" * 32], purpose="stored tokens")):
            print("alembic" in sys.modules)

asyncio.run(main())
"""
    command = [sys.executable, "-c", program, f"sqlite:///{migrated}", f"sqlite:///{tmp_path}/new.sqlite"]

    is_imported = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.split()

    assert is_imported == ["False", "True"]
