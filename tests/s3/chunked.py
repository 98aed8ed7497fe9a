"""Bodies that come in chunks: ``Transfer-Encoding: chunked``, and ``aws-chunked`` with its signatures and trailers.

An aws-chunked body is chunks of ``<hex size>[;chunk-signature=...]CRLF <data> CRLF``, one of size 0 last, then trailers
and an empty line. Signatures are not checked. See
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and ``sigv4-streaming-trailers.html`` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.s3.content import Buffer, Content
from tests.s3.errors import S3Error

CRLF = b"\r\n"


def aws_chunked(raw: Buffer, headers: dict[str, str]) -> Content:
    """The content of an aws-chunked body; its trailers are put into ``headers``, its encoding is taken from them."""
    chunks, trailers, _ = _decoded(raw)
    content = Content(chunks)
    if len(chunks) > 1:
        content = Content([b"".join(chunks)])
    declared = headers.get("x-amz-decoded-content-length")
    if declared is not None and declared != str(content.size):
        raise S3Error("IncompleteBody")
    headers.update(trailers)
    encodings = [name for name in headers.get("content-encoding", "").replace(" ", "").split(",") if name]
    rest = ",".join(name for name in encodings if name != "aws-chunked")
    headers.pop("content-encoding", None)
    if rest:
        headers["content-encoding"] = rest
    return content


def is_aws_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


class TransferChunks:
    """Collects a body of unknown length until its last chunk is there."""

    def __init__(self) -> None:
        self.raw = bytearray()
        self._next = 0  # where the next chunk's head stands in ``raw``
        self._trailers = False

    def feed(self, data: Buffer) -> int | None:
        """Add what has arrived: None while the body is incomplete, else how many bytes of ``raw`` it is."""
        self.raw += data
        while not self._trailers:
            end = self.raw.find(CRLF, self._next)
            if end < 0:
                return None
            size = _size(self.raw[self._next : end])
            self._trailers = size == 0
            self._next = end + 2 if self._trailers else end + 2 + size + 2
        while (end := self.raw.find(CRLF, self._next)) >= 0:
            if end == self._next:
                return end + 2
            self._next = end + 2
        return None

    def content(self, length: int) -> bytes:
        return b"".join(_decoded(memoryview(self.raw)[:length])[0])


def _decoded(raw: Buffer) -> tuple[list[memoryview], dict[str, str], int]:
    """The data of each chunk, the trailers, and where they end."""
    view, chunks, position = memoryview(raw), [], 0
    while True:
        end = _line_end(raw, position)
        size = _size(view[position:end])
        position = end + 2
        if size == 0:
            break
        if position + size > len(view):
            raise S3Error("IncompleteBody")
        chunks.append(view[position : position + size])
        position += size + 2
    trailers: dict[str, str] = {}
    while position < len(view):
        end = _line_end(raw, position)
        name, _, value = bytes(view[position:end]).decode("latin-1").partition(":")
        position = end + 2
        if not name:
            break
        if name.lower() != "x-amz-trailer-signature":
            trailers[name.lower()] = value.strip()
    return chunks, trailers, position


def _line_end(raw: Buffer, start: int) -> int:
    window = 256  # lines are short, and a view cannot be searched
    while start < len(raw):
        line = bytes(memoryview(raw)[start : start + window])
        found = line.find(CRLF)
        if found >= 0:
            return start + found
        if len(line) < window:
            break
        window *= 4
    raise S3Error("IncompleteBody")


def _size(line: Buffer) -> int:
    try:
        return int(bytes(line).partition(b";")[0], 16)
    except ValueError as error:
        raise S3Error("IncompleteBody", "A chunk has no size.") from error
