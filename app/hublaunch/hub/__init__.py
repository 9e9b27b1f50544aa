"""JupyterHub's REST API as typed async calls."""
