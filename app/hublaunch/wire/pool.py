"""Idle connections, kept for the next requests to the same server."""

import asyncio

from hublaunch.wire.connection import ServerConnection
from hublaunch.wire.origin import Origin

IDLE_S = 4.0
"""How long a connection is kept without a request. Node.js, which JupyterHub's proxy runs on, closes it after 5 s."""


class ConnectionPool:
    """The connections of a transport. Each takes one request at a time; the newest idle one is used first.

    There may be as many connections as there are requests at once.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._open: set[ServerConnection] = set()
        self._idle: dict[Origin, list[ServerConnection]] = {}
        """Per origin, the connection that has been idle longest comes first."""
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> ServerConnection | None:
        """Return an idle connection that is open, if there is one."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open and connection.idle_since > connection.loop.time() - IDLE_S:
                return connection
            connection.abort()
        return None

    def close(self) -> None:
        """Close all connections. Answers that are not complete end with an error."""
        self.is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        for connection in tuple(self._open):
            connection.abort()

    def add(self, connection: ServerConnection) -> None:
        """Take over a connection that is made. uvloop may close one before that without a word to its protocol."""
        self._open.add(connection)

    def freed(self, connection: ServerConnection) -> None:
        connection.idle_since = connection.loop.time()
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweep is None:
            self._sweep = connection.loop.call_later(IDLE_S, self._close_idle)

    def lost(self, connection: ServerConnection) -> None:
        self._open.discard(connection)

    def _close_idle(self) -> None:
        """Close the connections that have been idle too long, and look again when the next one will have been."""
        loop = asyncio.get_running_loop()
        kept_since = loop.time() - IDLE_S
        for origin, idle in tuple(self._idle.items()):
            expired = [connection for connection in idle if connection.idle_since <= kept_since]
            del idle[: len(expired)]
            for connection in expired:
                connection.abort()
            if not idle:
                del self._idle[origin]
        oldest = min((idle[0].idle_since for idle in self._idle.values()), default=None)
        self._sweep = None if oldest is None else loop.call_at(oldest + IDLE_S, self._close_idle)
