"""HTTP over aiohttp: the connections and requests to JupyterHub and to registries."""
