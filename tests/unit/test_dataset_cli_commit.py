"""`mlops-kit dataset commit`, `revert`, `check`: what is written, what is said, and with which exit code it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_kit.datasets import pointers
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.naming import DatasetKeys
from tests.kit import Kit
from tests.lakes import assert_whole, write_files, writes
from tests.s3 import Fault

KEYS = DatasetKeys("pets")
LAKE = "acme-dev-111111111111-lake"
CONSTRAINTS = {"tables": [{"files": "**/*.csv", "columns": {"age": {"type": "integer", "min": 0, "required": True}}}]}


def files(root: Path, **content: str) -> Path:
    return write_files(root / "data", {name.replace("__", "/"): text for name, text in content.items()})


def test_the_name_of_the_commit_is_data_and_the_rest_is_narration(kit: Kit, tmp_path: Path) -> None:
    done = kit.ok("dataset", "commit", "pets", files(tmp_path, a="1", b__c="22"), "-m", "first")
    assert done.err == "2 files, 3 B; 2 stored anew, 3 B\n"
    (commit,) = assert_whole(kit.s3, LAKE, "pets")
    assert done.out == f"pets@{commit[:12]}\n"
    (logged,) = kit.json("dataset", "log", "pets")
    assert (logged["commit"], logged["message"], logged["parent"]) == (commit, "first", None)
    assert logged["author"] == "arn:aws:iam::111111111111:root"


def test_json_says_what_a_script_needs_and_nothing_else_is_printed(kit: Kit, tmp_path: Path) -> None:
    first = kit.ok("dataset", "commit", "pets", files(tmp_path, a="1"), "-m", "m", "--json")
    assert first.err == ""
    assert first.json == {
        "commit": first.json["commit"],
        "parent": None,
        "changed": True,
        "uploaded": 1,
        "uploaded_bytes": 1,
        "files": 1,
        "size": 1,
    }
    assert kit.json("dataset", "commit", "pets", files(tmp_path, b="2"), "-m", "m")["parent"] == first.json["commit"]


def test_nothing_new_is_no_commit(kit: Kit, tmp_path: Path) -> None:
    first = kit.commit("pets", files(tmp_path, a="1"))
    kit.s3.forget()
    again = kit.ok("dataset", "commit", "pets", tmp_path / "data", "-m", "again")
    assert again.err == "nothing changed: pets@main holds exactly this already\n"
    assert again.out == f"pets@{first[:12]}\n"
    assert "PutObject" not in writes(kit.s3)


def test_add_into_and_remove_change_what_they_name(kit: Kit, tmp_path: Path) -> None:
    kit.commit("pets", files(tmp_path, a="1", b="2"))
    more = write_files(tmp_path / "more", {"c": "3"})
    kit.commit("pets", more, "more", "--add", "--into", "deep/down", "--remove", "b")
    assert [file["path"] for file in kit.json("dataset", "ls", "pets", "-r")["files"]] == ["a", "deep/down/c"]


def test_without_a_path_only_what_remove_names_goes(kit: Kit, tmp_path: Path) -> None:
    kit.commit("pets", files(tmp_path, a="1", b__c="2", b__d="3"))
    done = kit.ok("dataset", "commit", "pets", "--remove", "b", "-m", "less")
    assert done.err == "1 file, 1 B; 0 stored anew, 0 B\n"
    assert [file["path"] for file in kit.json("dataset", "ls", "pets", "-r")["files"]] == ["a"]


def test_an_author_a_branch_and_no_branch(kit: Kit, tmp_path: Path) -> None:
    source = files(tmp_path, a="1")
    first = kit.commit("pets", source)
    second = kit.commit("pets", files(tmp_path, b="2"), "aside", "--ref", "side", "--author", "Data team")
    shown = kit.json("dataset", "show", "pets@side")
    assert (shown["commit"], shown["header"]["author"]) == (second, "Data team")
    assert kit.json("dataset", "show", "pets")["commit"] == first

    loose = kit.ok("dataset", "commit", "pets", files(tmp_path, c="3"), "-m", "loose", "--no-ref")
    assert "no branch leads to it: keep it with `mlops-kit dataset tag pets TAG " in loose.err
    assert kit.json("dataset", "show", "pets")["commit"] == first
    assert kit.json("dataset", "show", loose.out.strip())["header"]["parent"] == first


def test_a_prefix_is_copied_by_s3(kit: Kit) -> None:
    lake = kit.lake()
    for key in ("raw/cats/1.jpg", "raw/cats/2.jpg", "raw/dogs.csv"):
        lake.put_new(key, key.encode())
    kit.s3.forget()
    commit = kit.commit("pets", f"s3://{LAKE}/raw/", "what landed")
    assert "GetObject" not in [call.operation for call in kit.s3.calls if call.key.startswith("raw/")]
    assert assert_whole(kit.s3, LAKE, "pets") == [commit]
    listed = kit.json("dataset", "ls", "pets", "-r")["files"]
    assert [file["path"] for file in listed] == ["cats/1.jpg", "cats/2.jpg", "dogs.csv"]
    assert not [key for key in kit.s3.snapshot(LAKE) if key.startswith("staging/")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pets", "nowhere", "-m", "m"], "nowhere cannot be read: No such file or directory."),
        (["pets", "-m", "m"], "There is nothing to commit: no PATH, and nothing to remove."),
        (["pets", "--remove", "x", "--into", "y", "-m", "m"], "say something about PATH, which is missing"),
        (["pets", "s3://", "-m", "m"], "is not the address of an S3 prefix"),
        (["pets", "s3://nobody/raw", "-m", "m"], "NoSuchBucket"),
        (["pets", ".", "-m", "m", "--source-account", "1"], "only the bucket of one has an owner"),
        (["pets", ".", "-m", "m", "--remove", "x"], "Only a commit that keeps the parent's files"),
        (["pets", ".", "-m", "m", "--ref", "Main"], "'Main' is not a branch name"),
        (["pets", ".", "-m", "m", "--ref", "a" * 64], "cannot be a branch"),
        (["pets", ".", "-m", "m", "--into", "../up"], "is not a directory of a data set"),
        (["pets", ".", "-m", "m", "--check"], "pets has no constraints"),
        (["Pets", ".", "-m", "m"], "'Pets' is not a data set name"),
        (["pets", "."], "Missing option '--message'"),
        (["pets", ".", "-m", "\udcff"], "Invalid value for '--message' / '-m': it is not UTF-8."),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(write_files(tmp_path / "here", {"a": "1"}))
    done = kit("dataset", "commit", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert kit.s3.snapshot(LAKE) == {}


def test_a_branch_that_moved_meanwhile_is_a_conflict_that_says_how_to_go_on(kit: Kit, tmp_path: Path) -> None:
    kit.commit("pets", files(tmp_path, a="1"))
    ref = kit.s3.buckets[LAKE].version(KEYS.ref("main")).data

    def somebody_else() -> None:
        kit.s3.buckets[LAKE].put(KEYS.ref("main"), ref.replace(b"root", b"else"))

    fault = Fault("before", operation="PutObject", when=lambda one: one.key == KEYS.ref("main"), callback=somebody_else)
    kit.s3.faults.append(fault)
    done = kit("dataset", "commit", "pets", files(tmp_path, b="2"), "-m", "mine")
    assert (done.code, done.out) == (4, "")
    assert "pets@main was moved" in done.err
    assert "run the same command again to build upon it" in done.err
    assert kit.ok("dataset", "commit", "pets", tmp_path / "data", "-m", "mine").err.endswith("0 stored anew, 0 B\n")


def test_a_file_that_lies_in_the_way_is_exit_code_7(kit: Kit, tmp_path: Path) -> None:
    source = files(tmp_path, a="1")
    kit.commit("pets", source)
    (key,) = [key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix)]
    kit.s3.buckets[LAKE].put(key, b"other")
    done = kit("dataset", "commit", "pets", source, "-m", "m", "--ref", "side")
    assert (done.code, done.out) == (7, "")
    assert "is in the way" in done.err


def test_commit_check_refuses_bad_data_and_stores_nothing_of_it(kit: Kit, tmp_path: Path) -> None:
    kit.constrain("pets", CONSTRAINTS)
    bad = files(tmp_path, **{"a.csv": "age\n3\n-1\n-2\n"})
    done = kit("dataset", "commit", "pets", bad, "-m", "m", "--check")
    assert (done.code, done.out) == (3, "")
    assert "constraints do not hold in what would be committed to pets" in done.err
    assert "min (**/*.csv, age): " in done.err
    assert "2 rows" in done.err
    assert "a.csv row 2: '-1'" in done.err
    assert "Mend the data" in done.err
    assert kit.s3.snapshot(LAKE) == {}


def test_commit_check_keeps_the_result_beside_the_commit(kit: Kit, tmp_path: Path) -> None:
    kit.constrain("pets", CONSTRAINTS)
    done = kit.ok("dataset", "commit", "pets", files(tmp_path, **{"a.csv": "age\n3\n"}), "-m", "m", "--check")
    assert "all of them hold" in done.err
    (commit,) = assert_whole(kit.s3, LAKE, "pets")
    assert [key for key in kit.s3.snapshot(LAKE) if key.startswith(f"{KEYS.checks_prefix}{commit}/")]
    again = kit.json("dataset", "commit", "pets", files(tmp_path, **{"b.csv": "age\n4\n"}), "-m", "m", "--check")
    assert again["check"]["passed"] is True
    assert again["check"]["rows"] == {"**/*.csv": 2}


def test_a_refused_import_leaves_nothing_in_staging(kit: Kit) -> None:
    kit.constrain("pets", CONSTRAINTS)
    kit.lake().put_new("raw/a.csv", b"age\n-5\n")
    assert kit("dataset", "commit", "pets", f"s3://{LAKE}/raw", "-m", "m", "--check").code == 3
    left = [key for key in kit.s3.snapshot(LAKE) if not key.startswith((KEYS.root + "imports/", "raw/"))]
    assert left == []


def test_check_shows_every_constraint_and_ends_with_3_if_one_does_not_hold(kit: Kit, tmp_path: Path) -> None:
    good = kit.commit("pets", files(tmp_path, **{"a.csv": "age\n3\n"}))
    bad = kit.commit("pets", files(tmp_path, **{"a.csv": "age\n-3\n4\n"}))
    kit.constrain("pets", CONSTRAINTS)
    passed = kit.ok("dataset", "check", f"pets@{good[:8]}")
    assert passed.out.startswith("RESULT")
    assert "**/*.csv: 1 row\n" in passed.out
    assert "failed" not in passed.out

    refused = kit("dataset", "check", "pets", "--json")
    assert refused.code == 3
    assert (refused.json["commit"], refused.json["passed"]) == (bad, False)
    (failed,) = [one for one in refused.json["results"] if not one["passed"]]
    assert (failed["constraint"], failed["failed_rows"], failed["examined_rows"]) == ("min", 1, 2)
    assert f"1 of {len(refused.json['results'])} constraints do not hold in pets@{bad[:12]}" in refused.err
    for commit in (good, bad):
        assert [key for key in kit.s3.snapshot(LAKE) if key.startswith(f"{KEYS.checks_prefix}{commit}/")]


def test_revert_commits_the_old_content_again(kit: Kit, tmp_path: Path) -> None:
    first = kit.commit("pets", files(tmp_path, a="1"))
    second = kit.commit("pets", write_files(tmp_path / "other", {"b": "2"}))
    done = kit.ok("dataset", "revert", "pets", "main~1", "-m", "b was wrong")
    assert done.err == f"main holds again what {first[:12]} held: 1 file\n"
    newest = kit.json("dataset", "log", "pets")
    assert [one["message"] for one in newest] == ["b was wrong", "m", "m"]
    assert newest[0]["parent"] == second
    assert done.out == f"pets@{newest[0]['commit'][:12]}\n"
    again = kit.ok("dataset", "revert", "pets", first[:6], "-m", "once more")
    assert again.err == "nothing changed: pets@main holds exactly this already\n"
    assert kit.json("dataset", "revert", "pets", second, "-m", "m")["content_of"] == second
    assert kit("dataset", "revert", "pets", "v9", "-m", "m").code == 2
    assert "has no branch 'side'" in kit("dataset", "revert", "pets", first, "-m", "m", "--ref", "side").err


def test_writing_to_the_last_stage_wants_yes(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files(tmp_path, a="1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "333333333333")
    for arguments in (
        ["commit", "pets", source, "-m", "m"],
        ["branch", "pets", "side"],
        ["tag", "pets", "v1"],
        ["tag", "pets", "v1", "--delete"],
        ["branch", "pets", "side", "--delete"],
        ["revert", "pets", "main", "-m", "m"],
        ["verify", "pets", "--repair"],
    ):
        refused = kit("dataset", *arguments, "--env", "production")
        assert refused.code == 2, arguments
        assert "needs a confirmation" in refused.err, arguments
        kit.ok("dataset", *arguments, "--env", "production", "--yes")


def test_an_old_leftover_is_written_again(kit: Kit, tmp_path: Path) -> None:
    kit.commit("pets", files(tmp_path, a="1"), "m", "--no-ref")
    bucket = kit.s3.buckets[LAKE]
    before = kit.s3.snapshot_versions(LAKE)
    (key,) = [key for key in before if key.startswith(KEYS.files_prefix)]
    bucket.version(key).modified -= REFRESH_AFTER.total_seconds() + 60
    kit.commit("pets", tmp_path / "data", "other message")
    assert len(kit.s3.snapshot_versions(LAKE)[key]) == 2
    ref = pointers.read(kit.lake(), "pets", "main")
    assert ref is not None
    assert kit.ok("dataset", "verify", "pets").out.startswith(f"pets@{ref.commit[:12]}  intact: 1 file, 1 B")
