"""Serving: uvicorn with limits on connections, headers and time."""
