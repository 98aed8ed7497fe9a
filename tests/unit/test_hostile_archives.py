"""Archives that climb out of their directory, or unpack to more than there is room for."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from mlops_kit.datasets.import_prefix import read_index
from mlops_kit.datasets.records import FileList, compress
from mlops_kit.datasets.recovery import right_file_list
from mlops_kit.errors import IntegrityError
from mlops_kit.local import terraform_download
from mlops_kit.local.compute import archives
from mlops_kit.local.compute.archives import BadArchiveError
from mlops_kit.objects import sha256_bytes
from mlops_kit.objects.unpacking import gunzip_bytes
from tests import hostile
from tests.commits import entries, header

MB = 1024 * 1024
BIG = 400 * MB


def tar_gz(*members: tarfile.TarInfo, body: bytes = b"evil") -> bytes:
    """Members as they are; those that are files have ``body``."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            member.size = len(body) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(body) if member.isreg() else None)
    return gzip.compress(plain.getvalue(), mtime=0)


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, to, 0o644
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = 1, 3
    return info


def link(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, to)


def hard(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, to)


def long_way_out() -> bytes:
    """Links through links, until the path is longer than any path can be, and nobody knows where it leads."""
    part, members, way = "d" * 247, [], ""
    for step in "abcdefghijklmnop":
        members.append(member(f"{way}{part}", tarfile.DIRTYPE))
        members.append(link(f"{way}{step}", part))
        way += f"{part}/"
    short = "/".join("abcdefghijklmnop")
    members += [link(f"{short}/{'l' * 254}", "../" * 16), link("escape", f"{short}/{'l' * 254}/../../outside")]
    return tar_gz(*members, member("escape/file"))


CLIMBING: dict[str, Callable[[Path], bytes]] = {
    "parent": lambda _: tar_gz(member("../outside/file")),
    "parent in the middle": lambda _: tar_gz(member("a/../../outside/file")),
    "parent with a directory of its own": lambda _: tar_gz(
        member("a", tarfile.DIRTYPE), member("a/../../outside/file")
    ),
    "link to the outside": lambda _: tar_gz(link("way", "../outside"), member("way/file")),
    "absolute link": lambda out: tar_gz(link("way", str(out)), member("way/file")),
    "link to the root": lambda out: tar_gz(link("way", "/"), member(f"way{out}/file")),
    "link through a link": lambda _: tar_gz(link("a", "."), link("a/b", "../outside"), member("a/b/file")),
    "link that is replaced": lambda _: tar_gz(link("way", "inside"), link("way", "../outside"), member("way/file")),
    "link in another case": lambda _: tar_gz(link("Way", "sub"), member("way/file")),
    "hard link to the outside": lambda _: tar_gz(hard("way", "../outside/secret")),
    "hard link to an absolute path": lambda out: tar_gz(hard("way", str(out / "secret")), member("way")),
    "hard link to a link": lambda _: tar_gz(link("a", "b"), hard("c", "a"), member("c")),
    "long chain of links": lambda _: long_way_out(),
    "character device": lambda _: tar_gz(member("null", tarfile.CHRTYPE)),
    "block device": lambda _: tar_gz(member("disk", tarfile.BLKTYPE)),
    "pipe": lambda _: tar_gz(member("pipe", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize("name", CLIMBING)
def test_an_archive_that_climbs_out_is_refused(name: str, tmp_path: Path) -> None:
    out = tmp_path / "outside"
    out.mkdir()
    (out / "secret").write_text("secret")
    archive, before = CLIMBING[name](out), hostile.everything(out)
    ended = hostile.run(lambda: archives.unpack(archive, tmp_path / "inside"))
    assert ended.error == "BadArchiveError", ended
    assert hostile.everything(out) == before
    assert set(tmp_path.iterdir()) == {out, tmp_path / "inside"}


@pytest.mark.parametrize("name", ["/etc/file", "//etc/file"])
def test_an_absolute_name_is_one_below_the_directory(name: str, tmp_path: Path) -> None:
    """As tar itself has it."""
    archives.unpack(tar_gz(member(name)), tmp_path / "inside")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("file")] == ["inside/etc/file"]


def test_links_inside_of_an_archive_are_kept(tmp_path: Path) -> None:
    """Model archives have them, say from ``model.bin`` to the newest one."""
    archives.unpack(tar_gz(member("v2.bin"), link("model.bin", "v2.bin")), tmp_path / "inside")
    assert (tmp_path / "inside" / "model.bin").read_bytes() == b"evil"


def test_what_is_unpacked_cannot_be_run_as_somebody_else(tmp_path: Path) -> None:
    one = member("tool")
    one.mode = 0o6777
    archives.unpack(tar_gz(one), tmp_path / "inside")
    assert (tmp_path / "inside" / "tool").stat().st_mode & 0o7022 == 0


@cache
def zeros(size: int) -> bytes:
    """Gzip of that many zeros, made without having them."""
    packer, made, piece = zlib.compressobj(1, zlib.DEFLATED, 31), [], bytes(MB)
    for _ in range(size // MB):
        made.append(packer.compress(piece))
    return b"".join([*made, packer.flush()])


def claims(kind: bytes, size: int) -> bytes:
    """A header that says that ``size`` bytes follow, and as many zeros as are needed to be believed for a while."""
    info = member("big", kind)
    info.size = size
    head = info.tobuf(tarfile.GNU_FORMAT)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(head) + b"".join(packer.compress(bytes(MB)) for _ in range(300)) + packer.flush()


def many(count: int) -> bytes:
    packer, head = zlib.compressobj(1, zlib.DEFLATED, 31), member("f").tobuf(tarfile.GNU_FORMAT)
    return packer.compress(head * count) + packer.flush()


BOMBS: dict[str, Callable[[], bytes]] = {
    "a file of a terabyte": lambda: claims(tarfile.REGTYPE, 1024**4),
    "a name of a gigabyte": lambda: claims(tarfile.GNUTYPE_LONGNAME, 1024**3),
    "extended headers of a gigabyte": lambda: claims(tarfile.XHDTYPE, 1024**3),
    "global headers of a gigabyte": lambda: claims(tarfile.XGLTYPE, 1024**3),
    "a device of a terabyte": lambda: claims(b"Z", 1024**4),
    "a negative size": lambda: claims(tarfile.REGTYPE, -512),
    "gzip in gzip": lambda: gzip.compress(zeros(64 * MB)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_archive_that_explodes_is_refused(name: str, tmp_path: Path) -> None:
    archive = BOMBS[name]()
    assert len(archive) < 4 * MB
    ended = hostile.run(lambda: archives.unpack(archive, tmp_path / "inside"))
    unpacked = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert (ended.error, unpacked) == ("BadArchiveError", 0), ended


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    archive = many(100_000)
    ended = hostile.run(lambda: archives.unpack(archive, tmp_path / "inside", most_members=500))
    assert ended.error == "BadArchiveError", ended
    with pytest.raises(BadArchiveError, match="unpacks to over"):
        archives.unpack(tar_gz(member("a"), member("b"), body=b"x" * 60), tmp_path / "two", most_bytes=100)


@pytest.mark.parametrize(
    "archive", [b"", b"no archive", b"\x1f\x8b", tar_gz(member("a"), body=os.urandom(999))[:500]], ids=range(4)
)
def test_what_is_no_archive_is_refused(archive: bytes, tmp_path: Path) -> None:
    ended = hostile.run(lambda: archives.unpack(archive, tmp_path / "inside"))
    assert ended.error == "BadArchiveError", ended


# ---- gzip ----

FILES = entries({"a.csv": b"1", "b.csv": b"2"})
COMMIT = header(FILES)
LINE = FILES.lines[0] + b"\n"


@cache
def packed(piece: bytes, times: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(piece) for _ in range(times)) + packer.flush()


LISTS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: zeros(BIG),
    "line feeds": lambda: packed(b"\n" * MB, 400),
    "the same line again and again": lambda: packed(LINE * 8192, 512),
    "gzip in gzip": lambda: gzip.compress(zeros(BIG)),
    "a second member": lambda: compress(FILES.dump()) + zeros(BIG),
    "bytes behind its end": lambda: compress(FILES.dump()) + b"x",
    "a wrong length": lambda: compress(FILES.dump())[:-4] + struct.pack("<I", 1),
    "a wrong checksum": lambda: compress(FILES.dump())[:-8] + bytes(4) + compress(FILES.dump())[-4:],
    "cut off": lambda: compress(FILES.dump())[:-9],
}


@pytest.mark.parametrize("name", LISTS)
def test_a_file_list_that_explodes_is_refused(name: str) -> None:
    body = LISTS[name]()
    assert len(body) < 12 * MB
    ended = hostile.run(lambda: FileList.parse(body, COMMIT))
    assert ended.error == "IntegrityError", ended
    assert hostile.run(lambda: 1 / int(right_file_list(body, COMMIT) is not None)).error == "ZeroDivisionError"


def test_a_header_that_promises_too_much_does_not_help() -> None:
    """Whoever may write lists may write headers: a line has its limits whatever the header says."""
    body, promised = zeros(BIG), replace(COMMIT, files=10**9)
    ended = hostile.run(lambda: FileList.parse(body, promised))
    assert ended.error == "IntegrityError", ended
    assert "more than 8192 bytes" in ended.message


def test_a_file_list_of_another_length_than_its_header_says_is_refused() -> None:
    with pytest.raises(IntegrityError, match="has 2 files, not 3"):
        FileList.parse(compress(FILES.dump()), replace(COMMIT, files=3))


class _Holding:
    """As much of a Store as is read here."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def get(self, key: str) -> bytes:
        return self.body


@pytest.mark.parametrize("name", LISTS)
def test_an_import_index_that_explodes_counts_as_none(name: str) -> None:
    held = _Holding(LISTS[name]())
    ended = hostile.run(lambda: 1 / len(read_index(held, "key", 10)))  # type: ignore[arg-type]
    assert ended.error == "ZeroDivisionError", ended


def test_the_input_of_a_batch_job_that_explodes_is_refused() -> None:
    body = zeros(BIG)
    ended = hostile.run(lambda: gunzip_bytes(body, 16 * MB))
    assert (ended.error, ended.message) == ("ValueError", f"it unpacks to more than {16 * MB} bytes")
    assert gunzip_bytes(gzip.compress(b"rows"), 16) == b"rows"


def test_a_download_with_another_digest_is_never_opened(tmp_path: Path) -> None:
    body = zeros(256 * MB)
    ended = hostile.run(
        lambda: terraform_download.download(
            tmp_path / "bin", "linux_amd64", digests={"linux_amd64": sha256_bytes(b"right")}, get=lambda url: body
        )
    )
    assert ended.error == "IntegrityError", ended
    assert list(tmp_path.iterdir()) == []
