"""HTTP/1.1 over asyncio and httptools: the connections and requests to JupyterHub and to registries."""
