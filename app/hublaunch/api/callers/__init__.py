"""Callers: the address a request comes from, who makes it, and how a browser logs in."""
