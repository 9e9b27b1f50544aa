"""Wiring: builds the parts from the settings and joins them."""
