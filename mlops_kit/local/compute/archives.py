"""``.tar.gz`` as SageMaker exchanges it: packed the same way every time, unpacked without trust."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from pathlib import Path
from typing import Any

MOST_BYTES = 16 * 1024**3
MOST_MEMBERS = 200_000
MOST_AT_ONCE = 4 * 1024 * 1024
"""Bytes of one read; those of a header that is longer than this are nobody's file name."""


class BadArchiveError(Exception):
    """Not a gzip-compressed tar file, or one with members that would escape the directory or fill the disk."""


def pack(directory: Path) -> bytes:
    """Everything below ``directory``; the same content always gives the same bytes.

    Names are sorted, and owner, time and everything else that is not content is fixed, so that training twice with the
    same result gives the same digest.
    """
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directory.rglob("*"), key=lambda p: p.relative_to(directory).as_posix()):
            info = tar.gettarinfo(path, arcname=path.relative_to(directory).as_posix())
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            info.mode = 0o755 if info.isdir() else 0o644
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return gzip.compress(tar_bytes.getvalue(), mtime=0)


def unpack(archive: bytes, directory: Path, *, most_bytes: int = MOST_BYTES, most_members: int = MOST_MEMBERS) -> None:
    """Unpack into ``directory``, which is made.

    Raises:
        BadArchiveError: see there. Nothing outside of ``directory`` is ever written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    room, links = most_bytes, set[str]()
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(archive))
        frugal: Any = _Frugal(content, most_bytes + most_members * tarfile.RECORDSIZE)
        with content, tarfile.open(fileobj=frugal, mode="r:") as tar:
            for count, member in enumerate(tar, 1):
                room -= member.size
                if member.size < 0 or room < 0 or count > most_members:
                    raise BadArchiveError(f"it has over {most_members} members, or unpacks to over {most_bytes} bytes")
                _refuse_through_links(member, links)
                tar.extract(member, directory, filter="data")
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as exc:
        raise BadArchiveError(f"{type(exc).__name__}: {exc}") from exc


def _refuse_through_links(member: tarfile.TarInfo, links: set[str]) -> None:
    """No member lies behind a link of the archive, and no link leads through another one.

    The ``data`` filter looks where a path leads, and long enough chains of links led older Pythons astray there
    (CVE-2025-4517). Without chains there is nothing to be led astray by. Case does not count, because it does not
    everywhere.
    """
    name = posixpath.normpath(member.name).casefold()
    ways = [name]
    if member.issym():
        ways.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname.casefold())))
    elif member.islnk():
        ways.append(posixpath.normpath(member.linkname).casefold())
    for way in ways:
        parts = way.split("/")
        if any("/".join(parts[:count]) in links for count in range(1, len(parts) + 1)):
            raise BadArchiveError(f"{member.name[:200]!r} lies behind a link, or leads to one")
    if member.issym() or member.islnk():
        links.add(name)


class _Frugal:
    """What tarfile reads an archive from. tarfile asks for as much at once as a header says, which may be anything."""

    def __init__(self, content: gzip.GzipFile, most: int) -> None:
        self._content, self._most = content, most

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_AT_ONCE:
            raise BadArchiveError("it has a header of many megabytes")
        return self._content.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > self._most:  # a seek in gzip unpacks all that is before it
            raise BadArchiveError(f"it unpacks to over {self._most} bytes")
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        return self._content.tell()
