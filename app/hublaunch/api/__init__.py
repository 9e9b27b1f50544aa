"""The web: what callers see."""
