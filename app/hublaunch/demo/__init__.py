"""The embedded JupyterHub: its configuration and its process."""
