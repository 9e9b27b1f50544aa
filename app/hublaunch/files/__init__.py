"""Files that operators and the command line write: limits, API keys."""
