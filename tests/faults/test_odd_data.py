"""Names and files that break other tools: committed, imported, promoted and checked out again, bit for bit."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_kit.datasets import pointers
from mlops_kit.datasets.cat import cat
from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.commit import commit
from mlops_kit.datasets.history import log
from mlops_kit.datasets.import_prefix import PrefixSource
from mlops_kit.datasets.revert import revert
from mlops_kit.datasets.verify import verify
from mlops_kit.errors import IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import sha256_bytes
from tests.commits import NOW, PETS
from tests.faults.harness import lab, unsound
from tests.faults.scenarios import ONE, Scenario, at, files, promoting
from tests.faults.world import files_below
from tests.lakes import write_files
from tests.stores import LAKE, OTHER_LAKE

KEYS = DatasetKeys(PETS)
LONG = "/".join(["d" * 200] * 4 + ["f" * (1000 - len(KEYS.file("", "0" * 64)) - 4 * 201)])
"""Its key has 1,000 characters."""
ODD = {
    "empty": b"",
    "empty directory's neighbour/.hidden": b"",
    "case/Readme": b"1",
    "case/README": b"2",
    "case/readme": b"3",
    unicodedata.normalize("NFC", "é/ü"): b"composed",
    unicodedata.normalize("NFD", "é/ü"): b"decomposed",
    "日本語/😀 \u200b\u202e.csv": b"unicode",
    "a b+c%20&d=e?#f;g,h@i!$'()*[]{}|^`~\"<>\\.csv": b"punctuation",
    "-rf": b"dash",
    "~": b"tilde",
    " ": b"space",
    "trailing./ .": b"dots",
    "x~0123456789ab.csv": b"a name like those of our keys",
    LONG: b"long",
}


def data(root: Path) -> dict[str, bytes]:
    return {
        path: body
        for path, body in files_below(root).items()
        if not path.endswith("/") and not path.startswith(".mlops-kit-checkout")
    }


def nothing(world: object) -> None:
    pass


def test_any_names_and_empty_files_come_back_bit_for_bit(tmp_path: Path) -> None:
    assert len(KEYS.file(LONG, "0" * 64)) == 1000
    with lab(Scenario("odd", nothing, files("odd", ODD)), tmp_path) as made:
        world = made.world
        local = commit(world.lake, PETS, world.root / "odd", message="m", author="me", now=NOW)
        assert local.uploaded == len(ODD)
        promoting(world)
        checkout(world.staging, PETS, local.commit.id, world.root / "out")
        assert data(world.root / "out") == ODD
        assert verify(world.staging, PETS, local.commit.id).intact
        for path, body in ODD.items():
            assert b"".join(cat(world.lake, PETS, local.commit.id, path)) == body
            made.s3.buckets[OTHER_LAKE].put(f"raw/{path}", body)
        raw = PrefixSource(replace(world.lake, bucket=OTHER_LAKE, owner=world.staging.owner), "raw/")
        again = commit(world.lake, PETS, raw, message="m", author="me", now=NOW)
        assert not again.changed, "imported, it is the same data"
        assert [*unsound(made.s3, LAKE), *unsound(made.s3, OTHER_LAKE)] == []


@pytest.mark.parametrize("link", ["to a file", "to a directory", "out of it", "to nothing", "to itself"])
def test_a_directory_with_links_is_refused_before_anything_is_sent(tmp_path: Path, link: str) -> None:
    with lab(Scenario("links", nothing, files("first", {"a": b"1", "d/b": b"2"})), tmp_path) as made:
        directory = made.root / "first"
        target = {"to a file": "a", "to a directory": "d", "out of it": "/etc", "to nothing": "x", "to itself": "link"}
        (directory / "link").symlink_to(target[link])
        with pytest.raises(UsageError, match="link"):
            commit(made.world.lake, PETS, directory, message="m", author="me", now=NOW)
        assert made.s3.snapshot(LAKE) == {}
        (directory / "link").unlink()
        assert commit(made.world.lake, PETS, directory, message="m", author="me", now=NOW).uploaded == 2


@pytest.mark.parametrize("record", ["header", "file list", "both"])
def test_records_that_were_tampered_with_are_known_by_the_id(tmp_path: Path, record: str) -> None:
    """As somebody would who knows the format: what is changed is consistent in itself."""
    with lab(Scenario("tampered", nothing, ONE), tmp_path) as made:
        world, bucket = made.world, made.s3.buckets[LAKE]
        found = pointers.read(world.lake, PETS, "main")
        assert found is not None
        forged = commit(
            world.lake, PETS, write_files(tmp_path / "f", {"a.csv": b"?"}), message="m", author="me", now=NOW, ref=None
        )
        if record in ("header", "both"):
            bucket.put(KEYS.commit(found.commit), bucket.version(KEYS.commit(forged.commit.id)).data)
        if record in ("file list", "both"):
            bucket.put(KEYS.file_list(found.commit), bucket.version(KEYS.file_list(forged.commit.id)).data)
        before = made.s3.snapshot(OTHER_LAKE), made.s3.snapshot_versions(LAKE)
        verbs = {
            "checkout": lambda: checkout(world.lake, PETS, found.commit, made.root / "out"),
            "promote": lambda: promoting(world),
            "cat": lambda: b"".join(cat(world.lake, PETS, found.commit, "a.csv")),
            "commit": lambda: commit(
                world.lake, PETS, made.root / "second", message="m", author="me", now=at(1), add=True
            ),
            "revert": lambda: revert(world.lake, PETS, "main", forged.commit.id, message="m", author="me", now=at(1)),
        }
        if record != "file list":
            verbs["log"] = lambda: log(world.lake, PETS, found.commit)
        else:
            del verbs["revert"]  # it does not read what it leaves behind
        for name, verb in verbs.items():
            with pytest.raises(IntegrityError, match=found.commit):
                verb()
            assert not (made.root / "out").exists(), name
            assert (made.s3.snapshot(OTHER_LAKE), made.s3.snapshot_versions(LAKE)) == before, name
        assert verify(world.lake, PETS, found.commit, repair=True).intact
        promoting(world)
        assert list(unsound(made.s3, OTHER_LAKE)) == []


def test_bytes_that_are_not_what_the_commit_says_go_nowhere(tmp_path: Path) -> None:
    """Overwritten with a checksum that is right for the wrong bytes, and no older version left."""
    with lab(Scenario("wrong", nothing, ONE), tmp_path) as made:
        world, bucket = made.world, made.s3.buckets[LAKE]
        found = pointers.read(world.lake, PETS, "main")
        assert found is not None
        for stored in list(bucket.keys()):
            bucket.version(stored).modified -= 60  # dates of S3 have no fractions of seconds
        key = KEYS.file("a.csv", sha256_bytes(b"id\n1\n"))
        bucket.remove(key)
        world.lake.put_new(key, b"id\n?\n")
        with pytest.raises(IntegrityError, match=r"a\.csv"):
            checkout(world.lake, PETS, found.commit, made.root / "out")
        with pytest.raises(IntegrityError, match=r"a~"):
            promoting(world)
        assert not (made.root / "out").exists()
        assert list(unsound(made.s3, OTHER_LAKE)) == []
        with pytest.raises((IntegrityError, NotFoundError)):
            b"".join(cat(world.lake, PETS, found.commit, "a.csv"))
        assert verify(world.lake, PETS, found.commit, repair=True).lost == ("a.csv",)
