"""Callers: the address that a request comes from, who makes it, and how a browser logs in."""
