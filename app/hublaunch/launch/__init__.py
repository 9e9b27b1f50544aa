"""The core: what a launch is and how it proceeds. It knows no web framework, no SQL and no HTTP client."""
