"""The store: launches, their attempts and their event logs, in SQLite or PostgreSQL."""
