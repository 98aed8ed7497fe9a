"""The model that an endpoint starts with, packed as SageMaker wants it.

The archive has the same bytes on every machine, or every deployment from another one would change it. Compressors
differ between versions of zlib, so the archive is stored, not compressed: gzip around one stored block.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from pathlib import Path

ENTRY_POINT = "inference.py"
CODE_DIRECTORY = "code"
BLOCK = tarfile.BLOCKSIZE


def archive() -> bytes:
    """``model.tar.gz`` with ``code/inference.py`` in it."""
    source = (Path(__file__).parent / ENTRY_POINT).read_bytes().replace(b"\r\n", b"\n")
    member = tarfile.TarInfo(f"{CODE_DIRECTORY}/{ENTRY_POINT}")
    member.size = len(source)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as file:
        file.addfile(member, io.BytesIO(source))
    end = BLOCK + -(-len(source) // BLOCK) * BLOCK + 2 * BLOCK  # header, content, end mark; tarfile pads to 10 KB
    return _gzip_stored(tar.getvalue()[:end])


def _gzip_stored(data: bytes) -> bytes:
    # RFC 1952 around RFC 1951 section 3.2.4: no name, no time, one final stored block of at most 65,535 bytes.
    if len(data) > 0xFFFF:
        raise ValueError(f"{len(data)} bytes do not fit into one stored block")
    header = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
    block = b"\x01" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
    return header + block + struct.pack("<II", zlib.crc32(data), len(data))
