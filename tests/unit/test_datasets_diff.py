"""What changed from one commit to another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.datasets.diff import Change, Summary, Total, compare, diff
from mlops_kit.datasets.records import FileList
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from tests.commits import JSON, PETS, entries, write

NOTHING = Total(0, 0)


def paths(files: FileList) -> list[str]:
    return [entry.path for entry in files]


def test_all_kinds_of_changes_are_told_apart() -> None:
    old = entries({"same": b"1", "gone": b"22", "changed": b"333", "moved/a.txt": b"4444", "empty-gone": b""})
    new = entries({"same": b"1", "new": b"7777777", "changed": b"55555", "to/a.txt": b"4444", "empty-new": b""})
    found = compare(old, new)
    assert paths(found.added) == ["empty-new", "new"]
    assert paths(found.removed) == ["empty-gone", "gone"], "that two files are empty does not make them the same"
    (changed,) = found.changed
    assert (changed.old.path, changed.old.size, changed.new.path, changed.new.size) == ("changed", 3, "changed", 5)
    assert changed.old.sha256 != changed.new.sha256
    (renamed,) = found.renamed
    assert (renamed.old.path, renamed.new.path) == ("moved/a.txt", "to/a.txt")
    assert found.summary == Summary(Total(2, 7), Total(2, 2), Total(1, 3), Total(1, 5), Total(1, 4), 1)
    assert found.summary.growth == 7 - 2 + 5 - 3 == sum(e.size for e in new) - sum(e.size for e in old)
    assert found


def test_nothing_changed() -> None:
    files = entries({"a": b"1", "b": b"2"})
    found = compare(files, entries({"b": b"2", "a": b"1"}))
    assert not found
    assert found.summary == Summary(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, 2)


def test_of_equal_files_those_of_the_same_name_belong_together() -> None:
    old = entries({"x/1": b"same", "x/2": b"same", "x/3": b"same"})
    new = entries({"y/0": b"same", "y/2": b"same", "y/3": b"same", "y/4": b"same"})
    found = compare(old, new)
    assert [(one.old.path, one.new.path) for one in found.renamed] == [
        ("x/1", "y/0"),
        ("x/2", "y/2"),
        ("x/3", "y/3"),
    ]
    assert paths(found.added) == ["y/4"], "one for one"
    assert paths(found.removed) == []


def test_changes_are_a_sequence() -> None:
    old, new = entries({"a": b"1", "b": b"2", "c": b"3"}), entries({"a": b"x", "b": b"y", "c": b"z"})
    changed = compare(old, new).changed
    assert len(changed) == 3
    assert changed[1] == Change(old[1], new[1])
    assert list(changed[1:]) == [Change(old[1], new[1]), Change(old[2], new[2])]
    assert Change(old[0], new[0]) in changed


FILES = st.dictionaries(
    st.sampled_from(["a", "a/b", "a-b", "b/c", "b/a", "c", 'q"', "ü"]), st.sampled_from([b"", b"1", b"2"])
)


@settings(deadline=None)
@given(FILES, FILES)
def test_a_diff_says_how_to_get_from_one_to_the_other(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    old, new = entries(before), entries(after)
    found = compare(old, new)
    there = {entry.path: entry for entry in old}
    for entry in found.removed:
        assert there.pop(entry.path) == entry
    for change in found.renamed:
        assert there.pop(change.old.path) == change.old
        assert change.old.sha256 == change.new.sha256
        assert change.old.path != change.new.path
        assert change.new.path not in before
    for change in found.changed:
        assert there.pop(change.old.path) == change.old
        assert change.old.path == change.new.path
        assert change.old != change.new
    assert len(there) == found.summary.unchanged
    for entry in [*found.added, *(one.new for one in found.renamed), *(one.new for one in found.changed)]:
        assert entry.path not in there
        there[entry.path] = entry
    assert sorted(there.values()) == list(new)
    assert not {e.sha256 for e in found.added if e.size} & {e.sha256 for e in found.removed}
    for files in (found.added, found.removed, found.changed.new, found.renamed.new):
        assert paths(files) == sorted(paths(files))
    assert bool(found) == (old != new)


def test_commits_are_compared(lake: Store) -> None:
    first = write(lake, {"a": b"1", "b": b"2"})
    second = write(lake, {"a": b"1", "b": b"3", "c": b"4"}, parent=first.id)
    same = write(lake, {"a": b"1", "b": b"2"}, parent=second.id, message="back")
    found = diff(lake, PETS, first.id, second.id)
    assert (paths(found.added), paths(found.changed.new), paths(found.removed)) == (["c"], ["b"], [])
    assert paths(diff(lake, PETS, None, second.id).added) == ["a", "b", "c"]
    assert not diff(lake, PETS, first.id, same.id)
    assert diff(lake, PETS, first.id, same.id).summary.unchanged == 2
    with pytest.raises(NotFoundError):
        diff(lake, PETS, "0" * 64, second.id)
    lake.put(DatasetKeys(PETS).file_list(first.id), lake.get(DatasetKeys(PETS).file_list(second.id)) or b"", JSON)
    with pytest.raises(IntegrityError):
        diff(lake, PETS, first.id, second.id)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ["a", "train/1.csv", "train/2.json", "train/x/3.csv", "train2/4.csv"]),
        (".", ["a", "train/1.csv", "train/2.json", "train/x/3.csv", "train2/4.csv"]),
        ("train", ["train/1.csv", "train/2.json", "train/x/3.csv"]),
        ("train/", ["train/1.csv", "train/2.json", "train/x/3.csv"]),
        ("./train/x", ["train/x/3.csv"]),
        ("train/1.csv", ["train/1.csv"]),
        ("*.csv", ["train/1.csv", "train/x/3.csv", "train2/4.csv"]),
        ("train/?.*", ["train/1.csv", "train/2.json"]),
        ("train/[12].csv", ["train/1.csv"]),
        ("trai", []),
    ],
)
def test_a_diff_can_be_of_a_part(lake: Store, path: str, expected: list[str]) -> None:
    names = ["a", "train/1.csv", "train/2.json", "train/x/3.csv", "train2/4.csv"]
    made = write(lake, {name: name.encode() for name in names})
    assert paths(diff(lake, PETS, None, made.id, path).added) == expected


def test_a_path_may_look_like_a_pattern(lake: Store) -> None:
    made = write(lake, {"a[1].csv": b"x", "a1.csv": b"y"})
    assert paths(diff(lake, PETS, None, made.id, "a[1].csv").added) == ["a[1].csv"]


def test_what_moves_out_of_a_part_was_removed_from_it(lake: Store) -> None:
    first = write(lake, {"train/a": b"1"})
    second = write(lake, {"test/a": b"1"})
    assert paths(diff(lake, PETS, first.id, second.id, "train").removed) == ["train/a"]
    assert paths(diff(lake, PETS, first.id, second.id, "test").added) == ["test/a"]
    assert len(diff(lake, PETS, first.id, second.id).renamed) == 1
