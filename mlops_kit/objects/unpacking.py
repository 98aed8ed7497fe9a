"""Unpack gzip that came out of a bucket: in pieces, and no more of it than whoever asks expects.

A thousand bytes of gzip may stand for a million. So nothing is unpacked as a whole before it is known how much it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE = 256 * 1024
"""Bytes that are unpacked at a time."""
_GZIP = 31
"""What zlib calls a gzip header and trailer around a window of 32 KiB."""


def gunzip(body: bytes) -> Iterator[bytes]:
    """The content of one gzip member, in pieces of at most ``PIECE`` bytes.

    Raises:
        ValueError: it is not gzip, was cut off, or goes on behind its end.
    """
    unpacker, rest = zlib.decompressobj(_GZIP), body
    while not unpacker.eof:
        try:
            piece = unpacker.decompress(rest, PIECE)
        except zlib.error as exc:
            raise ValueError(str(exc)) from exc
        rest = unpacker.unconsumed_tail
        if piece:
            yield piece
        elif not rest and not unpacker.eof:
            raise ValueError("it ends before its end")
    if unpacker.unused_data:
        raise ValueError("it goes on behind its end")


def gunzip_bytes(body: bytes, most: int) -> bytes:
    """All of it, if that is at most ``most`` bytes.

    Raises:
        ValueError: as of :func:`gunzip`, or it is more.
    """
    found, size = [], 0
    for piece in gunzip(body):
        size += len(piece)
        if size > most:
            raise ValueError(f"it unpacks to more than {most} bytes")
        found.append(piece)
    return b"".join(found)


def gunzip_lines(body: bytes, most: int, longest: int) -> Iterator[list[bytes]]:
    """Its lines without their line feeds, some at a time: at most ``most`` of them, none over ``longest`` bytes.

    Raises:
        ValueError: as of :func:`gunzip`, there are more or longer lines, one is empty, or the last one has no end.
    """
    rest, count = b"", 0
    for piece in gunzip(body):
        *lines, rest = (rest + piece).split(b"\n")
        count += len(lines)
        if count > most:
            raise ValueError(f"it has more than {most} lines")
        if len(rest) > longest or (lines and max(map(len, lines)) > longest):
            raise ValueError(f"it has a line of more than {longest} bytes")
        if b"" in lines:
            raise ValueError("it has an empty line")
        yield lines
    if rest:
        raise ValueError("it ends in the middle of a line")
