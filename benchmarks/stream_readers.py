"""Readers of event streams, in a separate process that does as little as possible.

    python -m benchmarks.stream_readers count --port 8083 --target /launch/ID/events --readers 1000 --seconds 10
    echo '["/launch/ID/events?secret=…", …]' | python -m benchmarks.stream_readers ages --port 8083 --seconds 10

`count` reads one stream many times. It prints `connected` once all readers have the head of their answer, then `begin`,
and at the end of the time the number of events that all of them got. It checks its connections at intervals and sleeps
in between. Readers on another machine cost a sender nothing, whereas waking a process on the same machine is a part of
each write.

`ages` reads many streams whose events carry the time at which they were written. Once every stream has had an event, it
prints the ages of the events that arrive within the time, in milliseconds as JSON.
"""

import argparse
import json
import re
import select
import socket
import sys
import time

from benchmarks.stream_sources import MARK

AT_ONCE = 100
"""Connections opened at a time."""
SETTLE_S = 2.0
"""Time for events that were sent before a reader connected."""
LOOK_S = 0.02
LARGEST = 1 << 16


class Readers:
    """Connections whose events are counted by their first field."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, socket.socket] = {}

    def connect(self, port: int, target: str, count: int) -> None:
        """Open `count` more connections. Return once each has the head of its answer."""
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        fresh = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for connection in fresh:
            connection.sendall(request)
        for connection in fresh:
            head = connection.recv(LARGEST)
            assert head.startswith(b"HTTP/1.1 200"), head
            self._connections[connection.fileno()] = connection
            self._poll.register(connection, select.EPOLLIN)

    def read(self, seconds: float) -> int:
        """Return the number of events that arrive within the time."""
        events, end_at = 0, time.monotonic() + seconds
        while time.monotonic() < end_at:
            time.sleep(LOOK_S)
            for descriptor, _ in self._poll.poll(0, len(self._connections)):
                data = self._connections[descriptor].recv(LARGEST)
                assert data, "a stream has ended"
                events += data.count(b"id: ")
        return events


SETTLE_MAX_S = 30.0
_MARK = re.compile(MARK.encode() + rb"(\d+)")


def ages_ms(port: int, targets: list[str], seconds: float) -> list[float]:
    """Return the age of each event when it arrived."""
    connections: dict[int, socket.socket] = {}
    poll = select.epoll()
    for target in targets:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        connections[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    silent, end_at = set(connections), time.monotonic() + SETTLE_MAX_S
    while silent:
        silent -= {descriptor for descriptor, _ in _marked(poll, connections)}
        assert time.monotonic() < end_at, f"{len(silent)} of {len(targets)} streams are silent"
    ages: list[float] = []
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        ages += [age for _, age in _marked(poll, connections)]
    return ages


def _marked(poll: select.epoll, connections: dict[int, socket.socket]) -> list[tuple[int, float]]:
    """Wait up to a second for events. Return the stream and the age of each."""
    ages: list[tuple[int, float]] = []
    for descriptor, _ in poll.poll(1):
        data = connections[descriptor].recv(LARGEST)
        now = time.monotonic_ns()
        assert data, "a stream has ended"
        ages += [(descriptor, (now - int(written)) / 1e6) for written in _MARK.findall(data)]
    return ages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("read", choices=("count", "ages"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--target", default="/")
    parser.add_argument("--readers", type=int, default=1000)
    options = parser.parse_args()
    if options.read == "ages":
        print(json.dumps(ages_ms(options.port, json.loads(sys.stdin.readline()), options.seconds)))
        return
    readers = Readers()
    for begin in range(0, options.readers, AT_ONCE):
        readers.connect(options.port, options.target, min(AT_ONCE, options.readers - begin))
    print("connected", flush=True)
    readers.read(SETTLE_S)
    print("begin", flush=True)
    print(readers.read(options.seconds), flush=True)


if __name__ == "__main__":
    main()
