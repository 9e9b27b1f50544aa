"""Many readers of one event stream, as a process of their own that does as little as it can.

    python -m benchmarks.bench.readers --port 8083 --target /launch/ID/events --readers 1000 --seconds 10

prints `connected` once all have the head of their answer, `begin`, and after so many seconds how many events they were
given meanwhile, all together.

It looks at its connections now and then and sleeps in between, whatever comes: readers elsewhere cost a sender nothing,
whereas to wake a process that waits on the same machine is a part of each of its writes, the dearer the more slowly
they follow each other.
"""

import argparse
import select
import socket
import time

AT_ONCE = 100
"""Connections that are made at a time."""
SETTLE_S = 2.0
"""For what was there before a reader came."""
LOOK_S = 0.02
LARGEST = 1 << 16


class Readers:
    """Connections whose events are counted by what each begins with."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, socket.socket] = {}

    def connect(self, port: int, target: str, count: int) -> None:
        """So many more; returns when each has the head of its answer."""
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
        """How many events come within so many seconds."""
        events, end_at = 0, time.monotonic() + seconds
        while time.monotonic() < end_at:
            time.sleep(LOOK_S)
            for descriptor, _ in self._poll.poll(0, len(self._connections)):
                data = self._connections[descriptor].recv(LARGEST)
                assert data, "a stream has ended"
                events += data.count(b"id: ")
        return events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    readers = Readers()
    for begin in range(0, options.readers, AT_ONCE):
        readers.connect(options.port, options.target, min(AT_ONCE, options.readers - begin))
    print("connected", flush=True)
    readers.read(SETTLE_S)
    print("begin", flush=True)
    print(readers.read(options.seconds), flush=True)


if __name__ == "__main__":
    main()
