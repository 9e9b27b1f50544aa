"""How uvicorn is set up."""

from fastapi import FastAPI

from app.serving import server_config

TRAEFIK_KEEPS_S = 90


def test_a_connection_is_kept_for_longer_than_proxies_keep_theirs() -> None:
    config = server_config(FastAPI(), host="127.0.0.1", port=0, drain_s=10)

    assert config.timeout_keep_alive > TRAEFIK_KEEPS_S
