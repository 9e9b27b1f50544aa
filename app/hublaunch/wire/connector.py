"""New connections: the lookup, TCP or a Unix socket, and TLS."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from hublaunch.wire.addresses import Addresses, Resolve, system_addresses
from hublaunch.wire.connection import ServerConnection
from hublaunch.wire.origin import Origin

NEXT_ADDRESS_AFTER_S = 0.25
"""The Connection Attempt Delay of RFC 8305, section 5."""

NewConnection = Callable[[], ServerConnection]


class Connector:
    """Connects to the addresses of origins, or only to one Unix socket."""

    def __init__(self, *, ssl_context: ssl.SSLContext | None, resolve: Resolve | None, uds: Path | None) -> None:
        self._ssl_context = ssl_context
        self._addresses = Addresses(resolve or system_addresses)
        self._uds = uds

    async def connect(self, origin: Origin, new: NewConnection, *, timeout_s: float | None) -> ServerConnection:
        """Return a connected connection that `new` made. Raises ConnectTimeout or ConnectError.

        `timeout_s` covers the lookup, TCP and TLS.
        """
        where = f"{origin.host}:{origin.port}"
        try:
            async with asyncio.timeout(timeout_s):
                tls = await self._tls(origin)
                if self._uds is not None:
                    return await self._connect_unix(self._uds, new, tls)
                addresses = await self._addresses.of(origin.host)
                return await self._connect_first(addresses, origin.port, new, tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {where} in time") from error
        except UnicodeError as error:
            raise httpx.ConnectError(f"the host name {origin.host} is not valid") from error
        except OSError as error:
            raise httpx.ConnectError(f"cannot connect to {where}: {error}") from error

    async def _tls(self, origin: Origin) -> dict[str, Any]:
        """Return what asyncio needs to know for TLS; nothing for plain HTTP."""
        if origin.scheme == "http":
            return {}
        if self._ssl_context is None:
            self._ssl_context = await asyncio.to_thread(ssl.create_default_context)
        return {"ssl": self._ssl_context, "server_hostname": origin.host.rstrip(".")}

    async def _connect_first(
        self, addresses: Sequence[str], port: int, new: NewConnection, tls: dict[str, Any]
    ) -> ServerConnection:
        """Return a connection to the first address that accepts one. Raises the last address's OSError if none does.

        An address is tried when those before it have failed, or NEXT_ADDRESS_AFTER_S later.
        """
        if len(addresses) == 1:
            return await _connect(addresses[0], port, new, tls)
        tasks: list[asyncio.Task[ServerConnection]] = []
        pending: set[asyncio.Task[ServerConnection]] = set()
        try:
            while True:
                if len(tasks) < len(addresses):
                    tasks.append(asyncio.create_task(_connect(addresses[len(tasks)], port, new, tls)))
                    pending.add(tasks[-1])
                is_last = len(tasks) == len(addresses)
                done, pending = await asyncio.wait(
                    pending, timeout=None if is_last else NEXT_ADDRESS_AFTER_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in sorted(done, key=lambda task: task.exception() is not None):
                    if task.exception() is None or (is_last and not pending):
                        tasks.remove(task)
                        return task.result()
        finally:
            for task in tasks:
                task.cancel()
                task.add_done_callback(_abort)

    async def _connect_unix(self, path: Path, new: NewConnection, tls: dict[str, Any]) -> ServerConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(new, str(path), **tls)
        return connection


async def _connect(address: str, port: int, new: NewConnection, tls: dict[str, Any]) -> ServerConnection:
    _, connection = await asyncio.get_running_loop().create_connection(new, address, port, **tls)
    return connection


def _abort(task: asyncio.Task[ServerConnection]) -> None:
    """Close the connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
