"""The files of a new commit are what a dictionary would say they are."""

from __future__ import annotations

import random

import pytest

from mlops_kit.datasets.records import FileEntry, FileList
from mlops_kit.datasets.tree import overlay, refuse_clashes, without
from mlops_kit.errors import NotFoundError, UsageError
from mlops_kit.objects import sha256_bytes


def entry(path: str, content: str = "") -> FileEntry:
    return FileEntry(path, len(content), sha256_bytes(content.encode()))


def files(*paths: str) -> FileList:
    return FileList.of(map(entry, paths))


@pytest.mark.parametrize("seed", range(20))
def test_an_overlay_adds_and_replaces(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 - not for security
    names = [f"{letter}{sign}{number}" for letter in "aZé" for sign in ('/"', ".", "") for number in range(7)]
    before = {name: entry(name, "old") for name in chosen.sample(names, chosen.randint(0, len(names)))}
    new = {name: entry(name, "new") for name in chosen.sample(names, chosen.randint(0, len(names)))}
    made = overlay(FileList.of(before.values()), list(new.values()))
    assert made == FileList.of((before | new).values())
    made.check_order()


def test_what_is_removed_is_a_file_or_a_directory_or_a_glob() -> None:
    there = files("a", "a.b", "b/c", "b/d/e", "b[c]", "bc", "dir/x.csv", "x.csv")
    for pattern, gone in (
        ("a", {"a"}),
        ("b", {"b/c", "b/d/e"}),
        ("b/", {"b/c", "b/d/e"}),
        ("b[c]", {"b[c]"}),
        ("b[b-d]", {"bc"}),
        ("*.csv", {"dir/x.csv", "x.csv"}),
        ("?.csv", {"x.csv"}),
    ):
        left = without(there, [pattern], "pets")
        assert {one.path for one in there} - {one.path for one in left} == gone
    assert without(there, [], "pets") == there
    assert [one.path for one in without(there, ["a*", "b*", "x.csv"], "pets")] == ["dir/x.csv"]
    for pattern in ("c", "dir/y*", "", "/", "A"):
        with pytest.raises(NotFoundError):
            without(there, ["a", pattern], "pets")


def test_clashes_are_seen_in_both_directions_and_neighbours_are_none() -> None:
    fine = files("a", "a!", "a-b/c", "a.b", "b/c", "b/c.d", "bc")
    refuse_clashes(fine, fine, fine)
    for path in ("a/b", "b/c/d/e", "b"):
        both = FileList.of([*fine, entry(path)])
        for added in ([entry(path)], list(both)):
            with pytest.raises(UsageError, match=r"directories of other files"):
                refuse_clashes(both, added, added)
