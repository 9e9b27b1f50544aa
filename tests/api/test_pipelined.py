"""Pipelined requests: several on one connection without waiting for answers."""

import asyncio
import json
import logging

import pytest

from hublaunch.api.middleware.access_log import request_id
from hublaunch.launch.log_context import current_attempt
from tests.support.served import BODY, Service


async def test_log_lines_of_a_pipelined_request_do_not_name_the_previous_launch(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hublaunch.access")
    about: dict[str | None, bool] = {}

    def note(_: logging.LogRecord) -> bool:
        about[request_id.get()] = current_attempt.get() is not None
        return True

    logging.getLogger("hublaunch.access").addFilter(note)
    body = json.dumps(BODY)
    head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.http.base_url.port)
    writer.write(
        f"POST /launch HTTP/1.1\r\n{head}X-Request-ID: first\r\n\r\n{body}"
        "GET /status HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: second\r\nConnection: close\r\n\r\n".encode()
    )
    await reader.read()
    writer.close()
    logging.getLogger("hublaunch.access").removeFilter(note)

    assert about == {"first": True, "second": False}
