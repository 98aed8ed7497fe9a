"""`mlops-kit dataset log`, `show`, `ls`, `cat`, `diff`, `checkout`, `uri`: data on stdout, narration on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from mlops_kit.naming import DatasetKeys
from tests.commits import entries, header, write
from tests.kit import ROOT, Kit
from tests.lakes import write_files

LAKE = "acme-dev-111111111111-lake"
KEYS = DatasetKeys("pets")
OLD = "id,age\n1,40\n2,30\n3,20\n"
NEW = "id,age,country\n1,41,DE\n3,20,US\n4,50,FR\n"


@pytest.fixture
def two(kit: Kit, tmp_path: Path) -> tuple[str, str]:
    """Two commits: a table that changed, a file that was moved, one that came, one that went."""
    write_files(tmp_path / "one", {"t.csv": OLD, "a/moved.bin": b"\0\1\2", "gone.txt": "g"})
    write_files(tmp_path / "two", {"t.csv": NEW, "b/moved.bin": b"\0\1\2", "more.jsonl": '{"x": 1}\n'})
    return kit.commit("pets", tmp_path / "one", "one"), kit.commit("pets", tmp_path / "two", "two\n\nand more")


def test_log_shows_the_newest_first_and_says_what_it_leaves_out(kit: Kit, two: tuple[str, str]) -> None:
    lines = kit.ok("dataset", "log", "pets").out.splitlines()
    assert [line.split()[0] for line in lines] == ["COMMIT", two[1][:12], two[0][:12]]
    assert lines[1].split()[-3:] == ["root", "two", "…"]
    cut = kit.ok("dataset", "log", "pets", "-n", "1")
    assert len(cut.out.splitlines()) == 2
    assert "older commits are not shown: see them with -n 5" in cut.err
    assert [one["commit"] for one in kit.json("dataset", "log", "pets@main~1")] == [two[0]]


def test_the_graph_draws_what_branches_and_tags_lead_to(kit: Kit, two: tuple[str, str], tmp_path: Path) -> None:
    kit.ok("dataset", "tag", "pets", "v1", "main~1")
    kit.ok("dataset", "branch", "pets", "side", "v1")
    side = kit.commit("pets", write_files(tmp_path / "side", {"x": "1"}), "aside", "--ref", "side")
    drawn = kit.ok("dataset", "log", "pets", "--graph")
    marks = [line for line in drawn.out.splitlines() if "*" in line]
    by_commit = {line.split("*")[1].lstrip(" |").split()[0]: line for line in marks}
    assert set(by_commit) == {side[:12], two[1][:12], two[0][:12]}
    assert by_commit[side[:12]].endswith("(side) aside")
    assert by_commit[two[1][:12]].endswith("(main) two …")
    assert by_commit[two[0][:12]].endswith("(tag: v1) one")
    assert marks[-1].startswith("* ")
    assert "|/" in drawn.out
    assert drawn.err == ""
    assert "1 older commit not shown: -n 3" in kit.ok("dataset", "log", "pets", "--graph", "-n", "2").err
    assert {one["commit"]: one["refs"] for one in kit.json("dataset", "log", "pets", "--graph")} == {
        side: ["side"],
        two[1]: ["main"],
        two[0]: ["tag: v1"],
    }
    both = kit("dataset", "log", "pets@main", "--graph")
    assert (both.code, both.out) == (2, "")


def test_show_says_what_a_commit_is_and_what_it_changed(kit: Kit, two: tuple[str, str]) -> None:
    shown = kit.ok("dataset", "show", "pets").out
    assert shown.startswith(f"commit  {two[1]}\nparent  {two[0]}\nrefs    refs/main\n")
    assert "holds   3 files, " in shown
    assert "change  1 added, 1 removed, 1 changed, 1 renamed; 0 unchanged; +" in shown
    assert "\n    two\n\n    and more\n" in shown
    as_json = kit.json("dataset", "show", f"pets@{two[0]}")
    assert as_json["header"]["message"] == "one"
    assert as_json["change"]["added"] == {"files": 3, "size": len(OLD) + 4}


def test_ls_lists_a_directory_a_pattern_all_files_and_the_data_sets(kit: Kit, two: tuple[str, str]) -> None:
    lines = kit.ok("dataset", "ls", "pets").out.splitlines()
    assert [line.split()[-1] for line in lines] == ["PATH", "b/", "more.jsonl", "t.csv"]
    assert lines[1].split() == ["3", "B", "1", "file", "b/"]
    assert [line.split()[-1] for line in kit.ok("dataset", "ls", "pets", "-r").out.splitlines()[1:]] == [
        "b/moved.bin",
        "more.jsonl",
        "t.csv",
    ]
    (found,) = kit.json("dataset", "ls", "pets", "*.csv")["files"]
    assert (found["path"], found["size"]) == ("t.csv", len(NEW))
    assert kit.ok("dataset", "ls").out == "pets\n"
    assert kit.json("dataset", "ls") == ["pets"]
    missing = kit("dataset", "ls", "pets", "more.json")
    assert (missing.code, missing.out) == (2, "")
    assert "Did you mean 'more.jsonl'?" in missing.err


def test_a_long_path_stays_on_one_line(kit: Kit, tmp_path: Path) -> None:
    path = "/".join(["d" * 200] * 4)
    kit.commit("pets", write_files(tmp_path / "long", {path: "x"}))
    assert path in kit.ok("dataset", "ls", "pets", "-r").out


def test_uri_is_the_manifest_that_is_there(kit: Kit, two: tuple[str, str]) -> None:
    uri = kit.ok("dataset", "uri", f"pets@{two[0][:8]}").out
    assert uri == f"s3://{LAKE}/{KEYS.manifest(two[0])}\n"
    assert KEYS.manifest(two[0]) in kit.s3.snapshot(LAKE)


MISTAKES: list[tuple[list[str], str]] = [
    (["log", "nothing"], "There is no data set 'nothing' in acme-dev-111111111111-lake."),
    (["log", "nothing", "--graph"], "There is no data set 'nothing'"),
    (["log", "pet"], "Did you mean 'pets'?"),
    (["log", "pets@v9"], "Branches: main. Tags: none."),
    (["log", "pets@main~7"], "has 1 ancestor in acme-dev-111111111111-lake, not 7"),
    (["log", "pets@"], "has no revision behind the @"),
    (["log", "pets@HEAD"], "its default branch is main"),
    (["log", "pets@ma~x"], "is not a revision"),
    (["show", "Pets"], "is not a data set name"),
    (["diff", "pets", "v1"], "has no branch, tag or commit 'v1'"),
    (["diff", "pets", "main~1", "--key", "id"], "it needs --rows"),
    (["diff", "pets", "main", "main", "more"], "unexpected extra argument"),
    (["cat", "pets", "b"], "There is no 'b'"),
    (["checkout", "pets", "out", "nowhere"], "There is no 'nowhere'"),
    (["uri", "pets@v1"], "has no branch, tag or commit 'v1'"),
    (["log", "pets", "--env", "qa"], "There is no environment 'qa'"),
    (["branch", "nothing"], "There is no data set 'nothing'"),
    (["tag", "nothing"], "There is no data set 'nothing'"),
    (["verify", "nothing", "--all"], "There is no data set 'nothing'"),
    (["gc", "nothing"], "There is no data set 'nothing'"),
    (["ls", "--recursive"], "Which data set?"),
]


def test_what_is_not_there_is_exit_code_2_and_says_what_is(kit: Kit, two: tuple[str, str]) -> None:
    for arguments, said in MISTAKES:
        done = kit("dataset", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert said in done.err, arguments


def test_a_short_id_of_two_commits_lists_both(kit: Kit) -> None:
    listed, seen = entries({"a": b"1"}), dict[str, str]()
    for number in count():
        start = header(listed, message=str(number)).id[:4]
        if start in seen:
            break
        seen[start] = str(number)
    both = [write(kit.lake(), {"a": b"1"}, message=message).id for message in (seen[start], str(number))]
    done = kit("dataset", "show", f"pets@{start}")
    assert (done.code, done.out) == (2, "")
    assert f"{start!r} is the start of 2 commits of pets:" in done.err
    assert all(commit[:12] in done.err for commit in both)
    assert "Give more digits." in done.err
    assert kit.json("dataset", "show", f"pets@{both[0][:12]}")["commit"] == both[0]


def test_diff_shows_files_in_the_order_of_their_paths(kit: Kit, two: tuple[str, str]) -> None:
    done = kit.ok("dataset", "diff", "pets", "main~1")
    assert done.out.splitlines() == [
        "> a/moved.bin -> b/moved.bin",
        "- gone.txt (1 B)",
        "+ more.jsonl (9 B)",
        f"~ t.csv ({len(OLD)} B -> {len(NEW)} B)",
    ]
    assert done.err == f"1 added, 1 removed, 1 changed, 1 renamed; 0 unchanged; +{len(NEW) - len(OLD) + 8} B\n"
    stat = kit.ok("dataset", "diff", "pets", two[0], two[1], "--stat")
    assert (stat.out, stat.err) == (done.err, "")
    assert kit.ok("dataset", "diff", "pets", "main~1", "--path", "*.txt").out == "- gone.txt (1 B)\n"
    assert kit.json("dataset", "diff", "pets", "main~1")["summary"]["renamed"]["files"] == 1
    assert kit.ok("dataset", "diff", "pets", "main", "main").out == ""


def test_diff_of_rows_shows_schema_rows_and_examples(kit: Kit, two: tuple[str, str]) -> None:
    out = kit.ok("dataset", "diff", "pets", "main~1", "--rows", "--key", "id", "--path", "t.csv").out
    assert out.splitlines()[1:] == [
        "",
        "t.csv",
        "  + column country",
        "  3 -> 3 rows: 1 added, 1 removed, 1 changed",
        "    age differs in 1 row",
        "    + id=4, age=50",
        "    - id=2, age=30",
        "    ~ id=1, age=41",
        "      was age=40",
    ]
    without = kit.ok("dataset", "diff", "pets", "main~1", "--rows").out
    assert "  3 -> 3 rows: 2 added, 2 removed\n" in without
    assert "\nmore.jsonl (added)\n  0 -> 1 row: 1 added, 0 removed\n    + x=1\n" in without
    tables = kit.json("dataset", "diff", "pets", "main~1", "--rows", "--key", "id")["tables"]
    assert [(table["path"], table["change"]) for table in tables] == [("more.jsonl", "added"), ("t.csv", "changed")]
    assert tables[0]["rows"] is None
    assert "'id', which is not there" in tables[0]["problem"]
    assert tables[1]["rows"]["changed_columns"] == {"age": 1}


def _program(kit: Kit, *arguments: str) -> list[str]:
    script = "import sys; from mlops_kit.cli import main; sys.argv[0] = 'mlops-kit'; main()"
    return [sys.executable, "-c", script, "--project", str(kit.project), *arguments]


def test_cat_writes_bytes_to_a_pipe_and_does_not_mind_if_nobody_reads_on(kit: Kit, tmp_path: Path) -> None:
    body = os.urandom(5_000_000) + b"\r\n\0\xff"
    kit.commit("pets", write_files(tmp_path / "binary", {"x.bin": body, "empty": b""}))
    cat = _program(kit, "dataset", "cat", "pets", "x.bin")
    done = subprocess.run(cat, capture_output=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == (body, b"")
    assert kit.ok("dataset", "cat", "pets", "empty").out == ""

    process = subprocess.Popen(cat, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.read(3) == body[:3]
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(60)


def test_cat_of_changed_bytes_is_exit_code_7_and_writes_none_of_a_small_file(kit: Kit, two: tuple[str, str]) -> None:
    (key,) = [key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "gone")]
    kit.s3.buckets[LAKE].overwrite(key, b"!")
    done = kit("dataset", "cat", "pets@main~1", "gone.txt")
    assert (done.code, done.out) == (7, "")


def test_checkout_writes_what_is_missing_and_says_what_it_did(kit: Kit, two: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = kit.ok("dataset", "checkout", "pets@main~1", out)
    assert done.out == ""
    assert (
        done.err
        == f"3 files of pets@{two[0][:12]} in {out}, verified: 3 downloaded ({len(OLD) + 4} B), 0 there already\n"
    )
    assert (out / "t.csv").read_text() == OLD
    again = kit.json("dataset", "checkout", "pets", out, "--delete")
    assert (again["commit"], again["downloaded"], again["removed"]) == (two[1], 3, 2)
    assert sorted(path.name for path in out.rglob("*") if path.is_file() and path.name[0] != ".") == [
        "more.jsonl",
        "moved.bin",
        "t.csv",
    ]
    (out / "t.csv").write_text("mine")
    refused = kit("dataset", "checkout", "pets", out)
    assert refused.code == 2
    assert "'t.csv'" in refused.err
    kit.ok("dataset", "checkout", "pets", out, "--force")
    assert (out / "t.csv").read_text() == NEW


def test_checkout_of_parts_and_by_links(kit: Kit, two: tuple[str, str], tmp_path: Path) -> None:
    kit.ok("dataset", "checkout", "pets", tmp_path / "part", "b", "*.jsonl")
    assert {path.name for path in (tmp_path / "part").rglob("*") if path.name[0] != "."} == {
        "b",
        "moved.bin",
        "more.jsonl",
    }
    kit.ok("dataset", "checkout", "pets", tmp_path / "linked", "--link")
    linked = kit.json("dataset", "checkout", "pets", tmp_path / "again", "--link", "--at-once", "2")
    assert linked["downloaded"] == 0
    assert (tmp_path / "linked" / "t.csv").samefile(tmp_path / "again" / "t.csv")
    assert (tmp_path / "again" / "t.csv").stat().st_mode & 0o222 == 0


def test_checkout_of_a_lost_object_is_exit_code_7_or_takes_the_older_version(
    kit: Kit, two: tuple[str, str], tmp_path: Path
) -> None:
    (key,) = [key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "gone")]
    kit.s3.buckets[LAKE].delete(key)
    done = kit.ok("dataset", "checkout", "pets@main~1", tmp_path / "out")
    assert "1 object in acme-dev-111111111111-lake had to be read from an older version." in done.err
    assert f"mlops-kit dataset verify pets@{two[0][:12]} --repair" in done.err
    kit.s3.buckets[LAKE].remove(key)
    lost = kit("dataset", "checkout", "pets@main~1", tmp_path / "other")
    assert (lost.code, lost.out) == (7, "")
    assert "'gone.txt'" in lost.err
    assert not (tmp_path / "other").exists()
