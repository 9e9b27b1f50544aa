"""Files that change while the service runs: API keys and limits, and what all such files share."""
