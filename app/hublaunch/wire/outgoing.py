"""A request as bytes."""

import re

import httpx

_METHOD = re.compile(r"[A-Z]+")
_TARGET = re.compile(rb"[!-~]+")
_LENGTH = re.compile(rb"^content-length:", re.IGNORECASE | re.MULTILINE)
_FORBIDDEN = re.compile(rb"[^\t\n -~]")
"""Every byte except tabs, line feeds, spaces and visible ASCII. One line feed ends each header, so they are counted."""


async def written(request: httpx.Request) -> bytes:
    """Return the request as HTTP/1.1, its body whole, with httpx's headers in their order.

    A body has a Content-Length, never chunks. The extension `target` replaces the path of the URL. Raises
    LocalProtocolError for characters that HTTP does not allow. Its text leaves them out: they may be part of a secret.
    """
    headers, stream = request.headers.raw, request.stream
    if isinstance(stream, httpx.ByteStream):
        content = b"".join(stream)
    else:
        assert isinstance(stream, httpx.AsyncByteStream)
        content = b"".join([part async for part in stream])
        headers = [(name, value) for name, value in headers if name.lower() != b"transfer-encoding"]
    head = b"".join([b"%b: %b\n" % header for header in headers])
    length = b"" if not content or _LENGTH.search(head) else b"Content-Length: %d\r\n" % len(content)
    target: bytes = request.extensions.get("target") or request.url.raw_path
    is_valid = (
        _METHOD.fullmatch(request.method)
        and _TARGET.fullmatch(target)
        and not _FORBIDDEN.search(head)
        and head.count(b"\n") == len(headers)
    )
    if not is_valid:
        raise httpx.LocalProtocolError("the request cannot be written as HTTP", request=request)
    start = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), target)
    return b"".join((start, head.replace(b"\n", b"\r\n"), length, b"\r\n", content))
