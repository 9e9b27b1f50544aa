"""The records: launches, their attempts and their event log."""
