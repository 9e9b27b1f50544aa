"""The limit on connections, and the choice of the connection to close when a new one arrives."""

import logging
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from hublaunch.api.callers.address import is_within, place_of
from hublaunch.api.warnings import Warnings

log = logging.getLogger(__name__)

BACKLOG_MAX = 2048
"""Connections that may wait to be accepted. The event loop accepts all of them at once."""
LEAST = 16
HEADS_MAX_BYTES = 16 * 1_048_576
"""The most bytes of unfinished request heads, in total."""
HEADS_MAX_BYTES_ADDRESS = 2 * 1_048_576
"""The most bytes of unfinished request heads from one address, or one IPv6 /64."""
_OWN_FILES = 64
_FILES_PER_SPAWN = 2
"""The connections to the Hub for one spawn: a request and a progress stream."""


@dataclass(frozen=True, slots=True)
class ConnectionRoom:
    """The connections and requests that one process accepts at once."""

    connections: int
    backlog: int
    files: int
    """Files that the process may open."""

    @property
    def connections_per_address(self) -> int:
        return self.connections // 2

    @property
    def requests(self) -> int:
        """Fewer than connections, so that an idle connection can always be closed for a health check."""
        return self.connections - max(LEAST // 2, self.connections // 10)

    def streams_per_address(self, wanted: int) -> int:
        return min(wanted, self.requests // 2)


def room_for(wanted: int, *, spawns: int) -> ConnectionRoom:
    """Return how many of the `wanted` connections are possible with `spawns` launches at the Hub.

    Increases the process's limit on open files as far as needed, and as far as the system allows.
    """
    own = _OWN_FILES + _FILES_PER_SPAWN * spawns
    needed = wanted + own + 2 * BACKLOG_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files, most = (needed if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard))
    if files < min(needed, most):
        files = min(needed, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    backlog = min(BACKLOG_MAX, max(LEAST // 2, files // 16))
    connections = max(LEAST, min(wanted, files - own - 2 * backlog))
    return ConnectionRoom(connections=connections, backlog=backlog, files=files)


class OpenConnection(Protocol):
    """A connection that can be closed immediately."""

    def drop(self) -> None: ...


@dataclass(slots=True)
class _Peer:
    address: str
    is_proxy: bool
    connections: int = 0
    heads_bytes: int = 0
    idle: dict[OpenConnection, None] = field(default_factory=dict)
    """The connections without a request, the longest idle first."""


class Connections:
    """The open connections of this process.

    A connection is idle while no request on it is being answered. That includes the time before its first request is
    complete. Beyond `most`, each new connection closes the longest idle one; beyond `most_per_address`, the longest
    idle one of its own address. An IPv6 /64 counts as one address. The bytes of unfinished heads are bounded as well,
    by address and in total. Proxies in `trusted_proxies` bring everybody's connections, so the limits of one address
    do not apply to them.
    """

    def __init__(
        self, *, most: int, most_per_address: int, trusted_proxies: Sequence[IPv4Network | IPv6Network]
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._trusted_proxies = trusted_proxies
        self._idle: dict[OpenConnection, None] = {}
        self._open: dict[OpenConnection, _Peer] = {}
        self._peers: dict[str, _Peer] = {}
        self._heads: dict[OpenConnection, int] = {}
        """Bytes of the unfinished head, by connection."""
        self._heads_bytes = 0
        self._warnings = Warnings(log)

    def opened(self, connection: OpenConnection, host: str) -> None:
        """Take a new connection from `host`, an address or `""`, and close another one if there are too many."""
        address = place_of(host)
        peer = self._peers.setdefault(address, _Peer(address, is_within(host, self._trusted_proxies)))
        peer.connections += 1
        self._open[connection] = peer
        self.idle(connection)
        if peer.connections > self._most_per_address and not peer.is_proxy:
            self._warnings.warn(
                "%s has %d open connections, the limit for one address: each new one closes its longest idle one. "
                "If this is your proxy, add it to LAUNCHER_TRUSTED_PROXIES",
                address,
                self._most_per_address,
            )
            self._drop(next(iter(peer.idle)))
        elif len(self._open) > self._most:
            self._warnings.warn(
                "%d connections are open, the limit of this process: each new one closes the longest idle one",
                self._most,
            )
            self._drop(next(iter(self._idle)))

    def idle(self, connection: OpenConnection) -> None:
        """Note that no request of the connection is being answered."""
        if (peer := self._open.get(connection)) is not None:
            self._idle[connection] = peer.idle[connection] = None

    def busy(self, connection: OpenConnection) -> None:
        """Note that a request of the connection is being answered."""
        if (peer := self._open.get(connection)) is not None:
            self._idle.pop(connection, None)
            peer.idle.pop(connection, None)

    def holds(self, connection: OpenConnection, number: int) -> bool:
        """Note how many bytes of an unfinished head the connection holds. Return whether there is room for them."""
        peer = self._open.get(connection)
        if peer is None:
            return False
        more = number - self._heads.pop(connection, 0)
        if number:
            self._heads[connection] = number
        peer.heads_bytes += more
        self._heads_bytes += more
        is_too_much = peer.heads_bytes > HEADS_MAX_BYTES_ADDRESS and not peer.is_proxy
        has_room = not number or not (is_too_much or self._heads_bytes > HEADS_MAX_BYTES)
        if not has_room:
            self._warnings.warn(
                "Unfinished request heads hold %d bytes, those from %s hold %d: connections that send more are closed",
                self._heads_bytes,
                peer.address,
                peer.heads_bytes,
            )
        return has_room

    def closed(self, connection: OpenConnection) -> None:
        """Forget the connection, unless that was done already."""
        self.busy(connection)
        self.holds(connection, 0)
        peer = self._open.pop(connection, None)
        if peer is not None:
            peer.connections -= 1
            if not peer.connections:
                del self._peers[peer.address]

    def _drop(self, connection: OpenConnection) -> None:
        self.closed(connection)
        connection.drop()
