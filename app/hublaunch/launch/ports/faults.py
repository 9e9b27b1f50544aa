"""Errors of the store that any of its roles may raise."""


class LeaseLost(Exception):
    """Another process has taken the launch over, so the requested action was not carried out."""


class StoreFault(Exception):
    """The database did not answer, so it is unknown whether the write was stored."""
