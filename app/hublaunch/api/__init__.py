"""The HTTP API: what callers see."""
