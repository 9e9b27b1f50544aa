"""Followers of many streams, as a process of its own, which reads by the marks in them how old each event is.

    echo '["/launch/ID/events?secret=…", …]' | python -m benchmarks.bench.marks --port 8083 --seconds 10

prints the ages in milliseconds as JSON, of those events that came within so many seconds once every stream had one.
"""

import argparse
import json
import re
import select
import socket
import sys
import time

from benchmarks.bench.readers import LARGEST
from benchmarks.bench.ticking_hub import MARK

SETTLE_MAX_S = 30.0
_MARK = re.compile(MARK.encode() + rb"(\d+)")


def ages_ms(port: int, targets: list[str], seconds: float) -> list[float]:
    """The age of each event when it was here."""
    connections: dict[int, socket.socket] = {}
    poll = select.epoll()
    for target in targets:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        connections[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    silent, end_at = set(connections), time.monotonic() + SETTLE_MAX_S
    while silent:
        silent -= {descriptor for descriptor, _ in _read(poll, connections)}
        assert time.monotonic() < end_at, f"{len(silent)} of {len(targets)} streams tell nothing"
    ages: list[float] = []
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        ages += [age for _, age in _read(poll, connections)]
    return ages


def _read(poll: select.epoll, connections: dict[int, socket.socket]) -> list[tuple[int, float]]:
    """The events that are there now, or that come next, each as its stream and its age."""
    ages: list[tuple[int, float]] = []
    for descriptor, _ in poll.poll(1):
        data = connections[descriptor].recv(LARGEST)
        now = time.monotonic_ns()
        assert data, "a stream has ended"
        ages += [(descriptor, (now - int(written)) / 1e6) for written in _MARK.findall(data)]
    return ages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    print(json.dumps(ages_ms(options.port, json.loads(sys.stdin.readline()), options.seconds)))


if __name__ == "__main__":
    main()
