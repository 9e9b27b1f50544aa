"""Many readers of one event stream, as a process of their own that does as little as it can.

    python -m benchmarks.bench.readers --port 8083 --target /launch/ID/events --readers 1000 --seconds 10

prints `connected` once all have the head of their answer, `begin`, and after so many seconds how many events they were
given meanwhile, all together.
"""

import argparse
import asyncio
from typing import cast

import uvloop

AT_ONCE = 100
"""Connections that are made at a time."""
SETTLE_S = 2.0
"""For what was there before a reader came."""


class Reader(asyncio.Protocol):
    """Counts the events of a stream by what each begins with."""

    events = 0
    """Of all readers."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            assert data.startswith(b"HTTP/1.1 200"), data
            self.answered.set_result(None)
        Reader.events += data.count(b"id: ")


async def read(port: int, target: str, readers: int, seconds: float) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    for begin in range(0, readers, AT_ONCE):
        few = [
            loop.create_connection(lambda: Reader(request), "127.0.0.1", port)
            for _ in range(begin, min(begin + AT_ONCE, readers))
        ]
        await asyncio.gather(*(reader.answered for _, reader in await asyncio.gather(*few)))
    print("connected", flush=True)
    await asyncio.sleep(SETTLE_S)
    print("begin", flush=True)
    before = Reader.events
    await asyncio.sleep(seconds)
    print(Reader.events - before, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(read(options.port, options.target, options.readers, options.seconds))


if __name__ == "__main__":
    main()
