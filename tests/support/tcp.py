"""Connections that break with a TCP reset."""

import asyncio
import socket
import struct

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset(transport: asyncio.WriteTransport) -> None:
    """Send a TCP reset, unless the connection is closed already."""
    if (raw := transport.get_extra_info("socket")) is not None and raw.fileno() >= 0:
        reset_on_close(raw)
        transport.abort()


def reset_on_close(raw: socket.socket) -> None:
    """Have the system send a TCP reset when this socket is closed."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
