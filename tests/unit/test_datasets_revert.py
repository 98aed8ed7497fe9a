"""A new commit with an old content."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from mlops_kit.datasets import branch, history, refs, tag
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit
from mlops_kit.datasets.revert import Reverted, revert
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes
from tests.commits import NOW, PETS, chain, ids, write
from tests.s3 import Fault, LoopbackS3

KEYS = DatasetKeys(PETS)
LATER = NOW + timedelta(days=1)


def back(lake: Store, commit: str, ref: str = "main", author: str = "ann") -> Reverted:
    return revert(lake, PETS, ref, commit, message="back", author=author, now=LATER)


@pytest.fixture
def made(lake: Store) -> list[Commit]:
    """Three commits, the last of them on main."""
    commits = chain(lake, 3)
    branch.create(lake, PETS, "main", commits[-1].id, actor="me", now=NOW)
    return commits


def test_the_content_is_the_old_one_and_history_goes_on(lake: Store, s3: LoopbackS3, made: list[Commit]) -> None:
    s3.forget()
    done = back(lake, made[0].id)
    assert done.changed
    assert refs.resolve(lake, PETS, "main") == done.commit.id
    assert read_commit(lake, PETS, done.commit.id) == done.commit
    assert (done.commit.parent, done.commit.author, done.commit.message) == (made[2].id, "ann", "back")
    assert done.commit.time == LATER.isoformat()
    assert read_files(lake, done.commit) == read_files(lake, made[0])
    assert (done.commit.files, done.commit.size) == (made[0].files, made[0].size)
    assert ids(history.log(lake, PETS, done.commit.id).commits) == [done.commit.id, *ids(made)[::-1]]
    assert lake.get(KEYS.manifest(done.commit.id)) is not None
    written = [call.key for call in s3.calls if call.operation in {"PutObject", "CopyObject"}]
    assert not [key for key in written if key.startswith(KEYS.files_prefix)], "no file travels"


def test_back_to_what_is_there_makes_no_commit(lake: Store, s3: LoopbackS3, made: list[Commit]) -> None:
    again = write(lake, {"c2": b"c2"}, parent=made[2].id, message="same content")
    before = s3.snapshot_versions(lake.bucket)
    assert back(lake, made[2].id) == Reverted(made[2], changed=False)
    assert back(lake, again.id) == Reverted(made[2], changed=False)
    assert s3.snapshot_versions(lake.bucket) == before


@pytest.mark.parametrize("harm", ["deleted", "overwritten"])
def test_nothing_is_committed_whose_files_are_gone(lake: Store, s3: LoopbackS3, made: list[Commit], harm: str) -> None:
    key = KEYS.file("c0", sha256_bytes(b"c0"))
    if harm == "deleted":
        lake.delete(key)
    else:
        s3.buckets[lake.bucket].put(key, b"something longer")
    before = s3.snapshot_versions(lake.bucket)
    with pytest.raises(IntegrityError, match="1 of the 1 files") as caught:
        back(lake, made[0].id)
    assert lake.uri(key) in caught.value.message
    assert "--repair" in (caught.value.hint or "")
    assert s3.snapshot_versions(lake.bucket) == before


def test_what_nothing_reaches_has_to_be_kept_first(lake: Store, made: list[Commit]) -> None:
    loose = write(lake, {"x": b"x"}, parent=made[0].id, message="loose")
    with pytest.raises(UsageError, match="No branch or tag"):
        back(lake, loose.id)
    tag.create(lake, PETS, "kept", loose.id, actor="me", now=NOW)
    assert back(lake, loose.id).changed


def test_unknown_branches_and_commits(lake: Store, made: list[Commit]) -> None:
    with pytest.raises(NotFoundError, match=r"no branch 'mian'.* Did you mean 'main'"):
        back(lake, made[0].id, ref="mian")
    with pytest.raises(NotFoundError, match="no commit"):
        back(lake, "0" * 64)


@pytest.mark.parametrize("writers", [2, 32])
def test_of_many_writers_one_wins(lake: Store, made: list[Commit], writers: int) -> None:
    barrier = threading.Barrier(writers)
    won: list[str] = []
    lost: list[ConflictError] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            won.append(back(lake, made[number % 2].id, author=f"writer {number}").commit.id)
        except ConflictError as error:
            lost.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = ids(history.log(lake, PETS, refs.resolve(lake, PETS, "main")).commits)
    assert len(won) + len(lost) == writers
    assert set(won) <= set(log), "nothing that was reported as done is lost"
    assert log[-3:] == ids(made)[::-1]


def test_somebody_who_was_faster_is_not_overwritten(lake: Store, s3: LoopbackS3, made: list[Commit]) -> None:
    other = write(lake, {"y": b"y"}, parent=made[2].id, message="faster")
    theirs = (lake.get(KEYS.ref("main")) or b"").replace(made[2].id.encode(), other.id.encode())
    s3.faults.append(
        Fault(
            "before",
            operation="PutObject",
            when=lambda request: request.key == KEYS.ref("main"),
            callback=lambda: s3.buckets[lake.bucket].put(KEYS.ref("main"), theirs),
        )
    )
    with pytest.raises(ConflictError, match=other.id[:12]):
        back(lake, made[0].id)
    assert refs.resolve(lake, PETS, "main") == other.id
    assert back(lake, made[0].id).commit.parent == other.id


def test_killed_at_any_write_a_second_run_finishes(lake: Store, s3: LoopbackS3, made: list[Commit]) -> None:
    s3.forget()
    target = made[0].id
    writes = 4  # file list, manifest, header, branch
    for number in range(1, writes + 1):
        s3.faults.append(Fault("denied", operation="PutObject", nth=number))
        with pytest.raises(ClientError):
            back(lake, target)
        s3.faults.clear()
        assert refs.resolve(lake, PETS, "main") == made[2].id
    assert back(lake, target).changed
    assert read_files(lake, read_commit(lake, PETS, refs.resolve(lake, PETS, "main"))) == read_files(lake, made[0])
