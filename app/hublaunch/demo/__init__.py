"""`hublaunch demo`: a JupyterHub on this machine, with hublaunch beside it."""
