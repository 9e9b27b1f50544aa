"""Files that change while the service runs, API keys and limits, and the code that they share."""
