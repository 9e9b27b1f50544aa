"""hublaunch: launch-as-a-service for JupyterHub."""
