"""`mlops-kit dataset branch`, `tag`, `verify`, `gc` and `promote dataset`: what is kept, moved, mended and removed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_kit.naming import DatasetKeys
from tests.kit import Kit
from tests.lakes import assert_whole, write_files, writes
from tests.s3 import Fault

LAKE, STAGING = "acme-dev-111111111111-lake", "acme-staging-222222222222-lake"
KEYS = DatasetKeys("pets")


@pytest.fixture
def two(kit: Kit, tmp_path: Path) -> tuple[str, str]:
    first = kit.commit("pets", write_files(tmp_path / "one", {"a": "1", "b/c.csv": "22"}), "one")
    return first, kit.commit("pets", write_files(tmp_path / "two", {"a": "1", "d": "333"}), "two")


def age(kit: Kit, days: float, bucket: str = LAKE) -> None:
    """Let everything in the bucket be older."""
    with kit.s3.lock:
        held = kit.s3.buckets[bucket]
        for key, versions in held.snapshot_versions().items():
            for version, _ in versions:
                held.version(key, version).modified -= timedelta(days=days).total_seconds()


def test_branches_are_made_listed_and_deleted(kit: Kit, two: tuple[str, str], tmp_path: Path) -> None:
    made = kit.ok("dataset", "branch", "pets", "side", "main~1")
    assert (made.out, made.err) == ("pets@side\n", f"side is {two[0][:12]}\n")
    assert kit.json("dataset", "branch", "pets", "same")["commit"] == two[1]
    lines = kit.ok("dataset", "branch", "pets").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["main", two[1][:12]],
        ["same", two[1][:12]],
        ["side", two[0][:12]],
    ]
    assert lines[1].split()[-1] == "root"
    assert [one["name"] for one in kit.json("dataset", "branch", "pets")] == ["main", "same", "side"]

    taken = kit("dataset", "branch", "pets", "side")
    assert (taken.code, taken.out) == (4, "")
    assert "Take another name." in taken.err
    assert kit.ok("dataset", "branch", "pets", "same", "--delete").err == f"deleted same, which was at {two[1][:12]}\n"

    lonely = kit.commit("pets", write_files(tmp_path / "three", {"e": "5"}), "aside", "--ref", "side")
    refused = kit("dataset", "branch", "pets", "side", "--delete")
    assert refused.code == 2
    assert f"{lonely[:12]}" in refused.err
    assert "`mlops-kit dataset tag pets TAG side`" in refused.err
    forced = kit.ok("dataset", "branch", "pets", "side", "--delete", "--force")
    assert f"nothing leads to {lonely[:12]} any more: aside" in forced.err
    assert [one["name"] for one in kit.json("dataset", "branch", "pets")] == ["main"]


def test_tags_are_made_listed_and_deleted_and_never_move(kit: Kit, two: tuple[str, str]) -> None:
    made = kit.ok("dataset", "tag", "pets", "v1.0", "main~1")
    assert (made.out, made.err) == ("pets@v1.0\n", f"v1.0 is {two[0][:12]}\n")
    kit.ok("dataset", "tag", "pets", "v1.0", two[0])
    moved = kit("dataset", "tag", "pets", "v1.0")
    assert (moved.code, moved.out) == (4, "")
    assert "A tag does not move" in moved.err
    (listed,) = kit.json("dataset", "tag", "pets")
    assert (listed["name"], listed["commit"], listed["by"]) == ("v1.0", two[0], "arn:aws:iam::111111111111:root")
    assert kit.json("dataset", "tag", "pets", "v1.0", "--delete") == {"name": "v1.0", "commit": two[0]}
    assert kit.json("dataset", "tag", "pets") == []
    assert kit("dataset", "tag", "pets", "v1.0", "--delete").code == 2


def test_names_are_checked_before_anything_is_asked(kit: Kit) -> None:
    for arguments, said in (
        (["branch", "pets", "Side"], "is not a branch name"),
        (["tag", "pets", "-x"], "No such option"),
        (["tag", "pets", "a..b"], "is not a tag name"),
        (["tag", "pets", "main"], "cannot be a tag"),
        (["branch", "pets", "--delete"], "Which branch is to be deleted?"),
        (["tag", "pets", "--delete"], "Which tag is to be deleted?"),
    ):
        done = kit("dataset", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert said in done.err, arguments
    assert kit.s3.calls == []


def test_a_name_is_either_a_branch_or_a_tag(kit: Kit, two: tuple[str, str]) -> None:
    kit.ok("dataset", "tag", "pets", "v1")
    assert kit("dataset", "branch", "pets", "v1").code == 4
    kit.ok("dataset", "branch", "pets", "side")
    assert kit("dataset", "tag", "pets", "side").code == 4


def test_verify_says_what_is_broken_and_repairs_what_versions_allow(kit: Kit, two: tuple[str, str]) -> None:
    intact = kit.ok("dataset", "verify", "pets@main~1")
    assert (intact.out, intact.err) == (f"pets@{two[0][:12]}  intact: 2 files, 3 B\n", "")
    bucket = kit.s3.buckets[LAKE]
    kept, gone = (next(key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + at)) for at in "ab")
    bucket.delete(gone)
    bucket.put(kept, b"9")
    broken = kit("dataset", "verify", "pets@main~1")
    assert broken.code == 7
    assert broken.out.startswith(f"pets@{two[0][:12]}  broken: 2 files, 3 B")
    assert broken.out.endswith("\n  missing: b/c.csv\n  wrong digest: a\n")
    assert "1 of 1 commit of pets is not as it was committed." in broken.err
    assert "mlops-kit dataset verify pets@main~1 --repair" in broken.err

    everything = kit("dataset", "verify", "pets", "--all", "--json")
    assert everything.code == 7
    assert {one["commit"]: one["intact"] for one in everything.json} == {two[0]: False, two[1]: False}
    assert "mlops-kit dataset verify pets --all --repair" in everything.err

    repaired = kit.ok("dataset", "verify", "pets@main~1", "--repair")
    assert "  repaired: 2 files, 3 B" in repaired.out
    assert "  missing: b/c.csv (repaired)\n  wrong digest: a (repaired)\n" in repaired.out
    deep = kit.ok("dataset", "verify", "pets", "--all", "--deep")
    assert deep.out.count("intact") == 2
    assert "read and hashed" in deep.out


def test_verify_deep_finds_rot_and_what_no_version_has_is_lost(kit: Kit, two: tuple[str, str]) -> None:
    key = next(key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "d"))
    kit.s3.buckets[LAKE].overwrite(key, b"rot")
    assert kit.ok("dataset", "verify", "pets").out.endswith("intact: 2 files, 4 B\n")
    deep = kit("dataset", "verify", "pets", "--deep")
    assert deep.code == 7
    assert "wrong digest: d\n" in deep.out
    assert "verify pets --deep --repair" in deep.err
    lost = kit("dataset", "verify", "pets", "--deep", "--repair")
    assert lost.code == 7
    assert "wrong digest: d (no version has it)" in lost.out
    assert "has to come from elsewhere" in lost.err


def test_gc_only_says_what_it_would_remove(kit: Kit, two: tuple[str, str], tmp_path: Path) -> None:
    loose = kit.commit("pets", write_files(tmp_path / "three", {"loose": "55555"}), "loose", "--no-ref")
    young = kit.ok("dataset", "gc", "pets")
    assert young.out == "pets: in use 3 commits with 4 files; not in use 0 commits, 0 objects, 0 B\n"
    age(kit, 8)
    kit.s3.forget()
    dry = kit.ok("dataset", "gc")
    assert dry.out.startswith("pets: in use 2 commits with 3 files; not in use 1 commit, 4 objects, ")
    assert "  files: 1, 5 B\n" in dry.out
    assert "nothing was removed: mlops-kit dataset gc pets --delete" in dry.err
    assert "PutObject" not in writes(kit.s3)
    assert "DeleteObjects" not in writes(kit.s3)
    assert kit.json("dataset", "gc", "pets", "--grace", "30")[0]["objects"] == 0

    done = kit.ok("dataset", "gc", "pets", "--delete")
    assert "pets: removed 4 objects, " in done.err
    assert assert_whole(kit.s3, LAKE, "pets") == sorted(two)
    assert kit("dataset", "show", f"pets@{loose}").code == 2
    (again,) = kit.json("dataset", "gc", "pets", "--delete")
    assert (again["objects"], again["deleted"]) == (0, True)


def test_gc_needs_a_grace_period_of_a_day_and_in_the_last_stage_a_confirmation(
    kit: Kit, two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kit("dataset", "gc", "pets", "--grace", "0.9").code == 2
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "333333333333")
    bucket = "acme-production-333333333333-lake"
    options = ("--env", "production", "--yes")
    kit.commit("pets", write_files(tmp_path / "one", {}), "kept", *options)
    kit.commit("pets", write_files(tmp_path / "three", {"loose": "5"}), "loose", "--no-ref", *options)
    age(kit, 8, bucket)
    before = kit.s3.snapshot(bucket)
    refused = kit("dataset", "gc", "--delete", "--env", "production")
    assert refused.code == 2
    assert "Remove 4 objects of pets in production for good needs a confirmation." in refused.err
    assert kit.s3.snapshot(bucket) == before
    kit.ok("dataset", "gc", "--delete", *options)
    assert len(kit.s3.snapshot(bucket)) == len(before) - 4


def test_gc_keeps_what_releases_and_versions_were_made_from(
    kit: Kit, two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = kit.commit("pets", write_files(tmp_path / "three", {"loose": "5"}), "loose", "--no-ref")
    age(kit, 8)
    unknown = "f" * 64
    monkeypatch.setattr("mlops_kit.cli.dataset.gc.data_in_use", lambda cloud, name, models: {loose, unknown})
    kept = kit.ok("dataset", "gc", "pets", "--delete")
    assert "in use 3 commits" in kept.out
    assert f"{unknown[:12]} is named by a release or a model version, and is not in this environment" in kept.err
    assert loose in assert_whole(kit.s3, LAKE, "pets")


def test_promotion_shows_its_plan_copies_and_is_done_the_second_time(
    kit: Kit, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    promote = ("promote", "dataset", "pets@main~1", "--to", "staging")
    plan = f"plan: pets@{two[0][:12]} from dev to staging\n  copy 2 of 2 files, 3 B\n"
    dry = kit.ok(*promote, "--dry-run")
    assert (dry.out, dry.err) == (plan, "")
    assert kit.s3.snapshot(STAGING) == {}
    done = kit.ok(*promote)
    assert (done.out, done.err) == (f"pets@{two[0][:12]}\n", plan)
    assert assert_whole(kit.s3, STAGING, "pets") == [two[0]]
    again = kit.ok(*promote)
    assert again.err == plan.replace("copy 2 of 2 files, 3 B", "copy 0 of 2 files, 0 B") + "already there\n"
    newest = kit.json("promote", "dataset", "pets", "--to", "staging", "--at-once", "2")
    assert newest == {"commit": two[1], "files": 2, "copied": 1, "dry_run": False}
    assert kit.json("dataset", "log", "pets", "--env", "staging")[0]["commit"] == two[1]


def test_promotion_to_the_last_stage_wants_yes_and_keeps_the_order(
    kit: Kit, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    kit.ok("promote", "dataset", "pets", "--to", "staging")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "333333333333")
    promote = ("promote", "dataset", "pets", "--to", "production")
    skipping = kit(*promote, "--from", "dev")
    assert skipping.code == 2
    assert "cannot be skipped" in skipping.err
    refused = kit(*promote)
    assert (refused.code, refused.out) == (2, "")
    assert f"Copy pets@{two[1][:12]} to production needs a confirmation." in refused.err
    assert kit.s3.snapshot("acme-production-333333333333-lake") == {}
    kit.ok(*promote, "--yes")
    kit.ok(*promote)  # nothing is left to be confirmed


def test_promotion_of_a_broken_commit_is_exit_code_7_and_shows_nothing(
    kit: Kit, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "d"))
    kit.s3.buckets[LAKE].remove(key)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    done = kit("promote", "dataset", "pets", "--to", "staging")
    assert (done.code, done.out) == (7, "")
    assert "cannot be copied" in done.err
    assert assert_whole(kit.s3, STAGING, "pets") == []


def test_promotion_that_loses_the_race_for_main_is_a_conflict(
    kit: Kit, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    kit.ok("promote", "dataset", "pets@main~1", "--to", "staging")
    ref = kit.s3.buckets[STAGING].version(KEYS.ref("main")).data
    kit.s3.faults.append(
        Fault(
            "before",
            operation="PutObject",
            when=lambda one: one.key == KEYS.ref("main"),
            callback=lambda: kit.s3.buckets[STAGING].put(KEYS.ref("main"), ref + b"\n"),
        )
    )
    done = kit("promote", "dataset", "pets", "--to", "staging")
    assert (done.code, done.out) == (4, "")
    kit.ok("promote", "dataset", "pets", "--to", "staging")
