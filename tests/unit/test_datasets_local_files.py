"""What can be committed from a directory, and what is refused, all of it at once and before anything is sent."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mlops_kit.datasets.local_files import SHOWN, find, room_for_paths
from mlops_kit.errors import UsageError
from mlops_kit.naming import DatasetKeys


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_files_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path: Path) -> None:
    write(tmp_path, "b", "a/c", "a.txt", "a/b/d", "leer")
    (tmp_path / "leer").write_text("")
    (tmp_path / "nothing" / "in" / "here").mkdir(parents=True)
    found = find(tmp_path, "pets")
    assert list(found.files) == ["a.txt", "a/b/d", "a/c", "b", "leer"]
    assert found.files["leer"].size == 0
    assert found.size == sum(len(name) for name in ("a.txt", "a/b/d", "a/c", "b"))
    status = (tmp_path / "a/c").stat()
    assert found.files["a/c"][1:4] == (3, status.st_mtime_ns, status.st_ctime_ns)
    assert Path(found.files["a/c"].location) == tmp_path / "a/c"


def test_a_file_is_found_under_its_own_name_and_anything_below_a_directory(tmp_path: Path) -> None:
    write(tmp_path, "dir/a.csv")
    assert list(find(tmp_path / "dir" / "a.csv", "pets").files) == ["a.csv"]
    assert list(find(tmp_path / "dir", "pets", "in/to/").files) == ["in/to/a.csv"]


def test_a_relative_path_means_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "dir/a")
    monkeypatch.chdir(tmp_path / "dir")
    assert find(Path(), "pets") == find(tmp_path / "dir", "pets")
    assert find(Path("../dir"), "pets") == find(tmp_path / "dir", "pets")


def test_names_that_differ_in_case_or_composition_only_are_kept_apart(tmp_path: Path) -> None:
    names = ["A", "a", "\u00e9", "e\u0301", "\U0001f4be", " ", "~", "a b+c%2F&=?#"]
    write(tmp_path, *names)
    assert list(find(tmp_path, "pets").files) == sorted(names)


def test_links_and_special_files_are_refused_all_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dir-link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError) as refused:
            find(tmp_path, "pets")
    for expected in ("'link' is a link", "'dir-link' is a link", "'pipe' is a named pipe", "'socket' is a socket"):
        assert expected in refused.value.message
    assert refused.value.hint


def test_of_many_problems_the_first_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    for number in range(SHOWN + 7):
        (tmp_path / f"link-{number}").symlink_to("a")
    with pytest.raises(UsageError) as refused:
        find(tmp_path, "pets")
    assert refused.value.message.count("is a link") == SHOWN
    assert refused.value.message.endswith("and 7 more")


def test_names_that_s3_cannot_list_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "line\nfeed", "bell\x07", "del\x7f", "\ufffe")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin-\xe9")).write_text("")
    with pytest.raises(UsageError) as refused:
        find(tmp_path, "pets")
    assert refused.value.message.count("control character") == 4
    assert "'latin-\\udce9': the name is not UTF-8" in refused.value.message


def test_a_path_may_be_as_long_as_its_key_fits(tmp_path: Path) -> None:
    room = room_for_paths("pets")
    part = "é" * 100 + "/"
    longest = part * (room // len(part.encode()))
    longest += "x" * (room - len(longest.encode()))
    assert len(DatasetKeys("pets").file(longest, "0" * 64).encode()) == 1024
    write(tmp_path, longest)
    assert list(find(tmp_path, "pets").files) == [longest]
    with pytest.raises(UsageError, match=f"has {room} bytes; keys of this data set have room for {room - 1}"):
        find(tmp_path, "petss")
    with pytest.raises(UsageError, match=f"has {room + 2} bytes"):
        find(tmp_path, "pets", "d/")


def test_what_a_checkout_keeps_for_itself_is_no_data(tmp_path: Path) -> None:
    write(tmp_path, "a", ".mlops-kit-checkout.json", ".mlops-kit-checkout.tmp/part", "sub/.mlops-kit-checkout.json")
    assert list(find(tmp_path, "pets").files) == ["a", "sub/.mlops-kit-checkout.json"]
    with pytest.raises(UsageError, match="what a checkout keeps"):
        find(tmp_path / ".mlops-kit-checkout.json", "pets")


def test_what_is_not_there_or_holds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "also").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for path, expected in (
        (tmp_path / "absent", "cannot be read: No such file"),
        (tmp_path / "empty", "There are no files"),
        (tmp_path / "link", "is a link, not a file"),
    ):
        with pytest.raises(UsageError, match=expected):
            find(path, "pets")


def test_a_directory_that_cannot_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", "locked/b")
    scandir = os.scandir

    def refuse(path: str) -> object:  # root, who may run the tests, can read everything
        if path.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="'locked' cannot be read: Permission denied"):
        find(tmp_path, "pets")
