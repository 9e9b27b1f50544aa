"""Acceptance: from a request to a stored launch."""
