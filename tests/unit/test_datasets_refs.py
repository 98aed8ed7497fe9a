"""Branches and tags, and how what people write becomes a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from mlops_kit.datasets import branch, pointers, refs, tag
from mlops_kit.errors import ConflictError, IntegrityError, MlopsKitError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from tests.commits import JSON, NOW, PETS, chain, ids, write
from tests.s3 import Fault, LoopbackS3
from tests.s3.faults import Kind

KEYS = DatasetKeys(PETS)


def move(lake: Store, name: str, commit: str, seen: refs.Ref | None = None, by: str = "me") -> None:
    refs.move(lake, PETS, name, commit, seen, by, NOW)


def new_branch(lake: Store, name: str, commit: str) -> bool:
    return branch.create(lake, PETS, name, commit, actor="me", now=NOW)


def new_tag(lake: Store, name: str, commit: str) -> bool:
    return tag.create(lake, PETS, name, commit, actor="me", now=NOW)


def resolve(lake: Store, revision: str) -> str:
    return refs.resolve(lake, PETS, revision)


def told(call: Callable[[], object], error: type[MlopsKitError]) -> str:
    """What the user reads when the call fails."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return f"{caught.value.message}\n{caught.value.hint or ''}"


def twins(lake: Store, digits: int = 1) -> list[str]:
    """Ids of commits until two of them begin alike, which are the last and another one."""
    found: dict[str, str] = {}
    while True:
        made = write(lake, {"f": b"x"}, message=f"number {len(found)}").id
        if made[:digits] in found:
            return [made, found[made[:digits]]]
        found[made[:digits]] = made


def test_a_branch_moves_only_from_where_it_was_seen(lake: Store) -> None:
    first, second, third = ids(chain(lake, 3))
    assert refs.read(lake, PETS, "main") is None
    move(lake, "main", first)
    seen = refs.read(lake, PETS, "main")
    assert seen is not None
    assert (seen.name, seen.commit, seen.kind, seen.by, seen.time) == ("main", first, "branch", "me", NOW.isoformat())
    move(lake, "main", second, seen, by="ann")
    text = told(lambda: move(lake, "main", third, seen), ConflictError)
    assert f"pets@main was moved to {second[:12]} by ann" in text
    assert third in text, "the commit that is stored can be found again"
    assert "dataset log pets@main" in text
    text = told(lambda: move(lake, "main", third), ConflictError)
    assert second[:12] in text
    now = refs.read(lake, PETS, "main")
    assert now is not None
    assert now.commit == second
    lake.delete(KEYS.ref("main"))
    assert "moved away" in told(lambda: move(lake, "main", third, now), ConflictError)


def test_a_branch_that_points_there_already_is_success(lake: Store, s3: LoopbackS3) -> None:
    first, second = ids(chain(lake, 2))
    move(lake, "main", first)
    seen = refs.read(lake, PETS, "main")
    refs.move(lake, PETS, "main", second, seen, "ann", NOW)
    before = s3.snapshot_versions(lake.bucket)
    refs.move(lake, PETS, "main", second, seen, "me", NOW + timedelta(hours=1))
    refs.move(lake, PETS, "main", second, None, "me", NOW + timedelta(hours=1))
    refs.move(lake, PETS, "main", second, refs.read(lake, PETS, "main"), "me", NOW + timedelta(hours=1))
    assert s3.snapshot_versions(lake.bucket) == before


@pytest.mark.parametrize("writers", [2, 32])
def test_of_many_writers_one_wins(lake: Store, writers: int) -> None:
    base = write(lake, {"f": b"0"})
    made = [write(lake, {"f": b"1"}, parent=base.id, message=str(number)).id for number in range(writers)]
    move(lake, "main", base.id)
    seen = refs.read(lake, PETS, "main")
    barrier = threading.Barrier(writers)
    won: list[str] = []
    lost: list[str] = []

    def write_ref(commit: str) -> None:
        barrier.wait()
        try:
            refs.move(lake, PETS, "main", commit, seen, "me", NOW)
            won.append(commit)
        except ConflictError:
            lost.append(commit)

    threads = [threading.Thread(target=write_ref, args=(commit,)) for commit in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [resolve(lake, "main")]
    assert sorted([*won, *lost]) == sorted(made)


@pytest.mark.parametrize("kind", ["lost", "503", "reset"])
def test_an_answer_that_is_lost_does_not_make_a_conflict(lake: Store, s3: LoopbackS3, kind: Kind) -> None:
    first, second = ids(chain(lake, 2))
    s3.faults.append(Fault(kind, operation="PutObject", when=lambda request: request.key == KEYS.ref("main")))
    move(lake, "main", first)
    s3.faults.append(Fault(kind, operation="PutObject", when=lambda request: request.key == KEYS.ref("main")))
    move(lake, "main", second, refs.read(lake, PETS, "main"))
    assert resolve(lake, "main") == second


@pytest.mark.parametrize("name", ["a", "main", "exp-1", "0", "cafe", "a" * 128])
def test_names_of_branches_and_tags(name: str) -> None:
    assert refs.check_branch(name) == name
    assert name == "main" or refs.check_tag(name) == name


@pytest.mark.parametrize(
    "name", ["", "Main", "-a", "a-", "a/b", "a b", "ü", "head", "HEAD", "a" * 64, "a" * 129, "a~1", "a^", "a\n", "."]
)
def test_names_that_are_neither(name: str) -> None:
    for check in (refs.check_branch, refs.check_tag):
        with pytest.raises(UsageError):
            check(name)


def test_tags_may_have_dots_and_underscores() -> None:
    assert refs.check_tag("v1.0_rc-2") == "v1.0_rc-2"
    for name in ("v1.0", "a_b"):
        with pytest.raises(UsageError):
            refs.check_branch(name)
    for name in ("a..b", ".a", "a.", "_a", "main"):
        with pytest.raises(UsageError):
            refs.check_tag(name)


def test_what_is_written_is_taken_apart() -> None:
    assert refs.parse("pets") == ("pets", "main")
    assert refs.parse("pets@v1.0~2") == ("pets", "v1.0~2")
    assert refs.parse("pets@refs/main") == ("pets", "refs/main")
    with pytest.raises(UsageError, match="no revision"):
        refs.parse("pets@")
    for text in ("", "@main", "Pets", "pets/x@main"):
        with pytest.raises(UsageError, match="not a data set name"):
            refs.parse(text)


def test_revisions_resolve_as_in_git(lake: Store) -> None:
    first, second, third, fourth = ids(chain(lake, 4))
    move(lake, "main", fourth)
    new_branch(lake, "exp", second)
    new_tag(lake, "v1.0", third)
    for revision, commit in {
        "main": fourth,
        "exp": second,
        "v1.0": third,
        "refs/exp": second,
        "tags/v1.0": third,
        fourth: fourth,
        fourth[:32]: fourth,
        fourth[:32].upper(): fourth,
        "main^": third,
        "main~": third,
        "main~0": fourth,
        "main~1": third,
        "main^^": second,
        "main~2^": first,
        "main^~2": first,
        "main~3": first,
        "v1.0~1": second,
        "tags/v1.0^": second,
        f"{fourth[:32]}~1": third,
        f"{fourth}^": third,
    }.items():
        assert resolve(lake, revision) == commit, revision


def test_a_name_wins_over_a_short_id(lake: Store) -> None:
    first, second = ids(chain(lake, 2))
    short = second[:8]
    assert resolve(lake, short) == second
    new_branch(lake, short, first)
    assert resolve(lake, short) == first
    assert resolve(lake, second[:9]) == second


def test_going_back_too_far_says_how_far_there_is(lake: Store) -> None:
    made = chain(lake, 3)
    move(lake, "main", made[-1].id)
    text = told(lambda: resolve(lake, "main~3"), NotFoundError)
    assert "has 2 ancestors" in text
    assert made[0].id[:12] in text
    only = write(lake, {"f": b""}, message="alone")
    assert "has 0 ancestors" in told(lambda: resolve(lake, f"{only.id}^"), NotFoundError)


@pytest.mark.parametrize("text", ["", "~1", "^", "main~x", "main^{}", "main~1x", "a b~", "main~" + "9" * 5000])
def test_what_is_not_a_revision(lake: Store, text: str) -> None:
    write(lake, {"f": b""})
    with pytest.raises(UsageError):
        resolve(lake, text)


def test_an_ambiguous_start_lists_the_candidates(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two ids that share four digits take hundreds of commits to come by, so here a single one is enough.
    monkeypatch.setattr(refs, "_SHORT_ID", refs.re.compile(r"[0-9a-f]{1,63}"))
    last, other = twins(lake)
    text = told(lambda: resolve(lake, last[0]), UsageError)
    assert f"{last[0]!r} is the start of 2 commits of pets" in text
    for commit in (last, other):
        found = next(line for line in text.splitlines() if commit[:12] in line)
        assert NOW.isoformat() in found
        assert "number" in found
    assert resolve(lake, last[:12]) == last
    lake.put(KEYS.commit(other), b"{}", JSON)
    assert "its header was changed" in told(lambda: resolve(lake, last[0]), UsageError)


def test_candidates_are_shown_with_the_digits_that_tell_them_apart(lake: Store) -> None:
    alike = ["abcd" * 15 + end for end in ("0000", "0001", "1000", *(f"{number:04x}" for number in range(0x20, 0x2A)))]
    for commit in alike:
        lake.put_new(KEYS.commit(commit), b"{}")
        lake.put_new(KEYS.file_list(commit), b"")
    text = told(lambda: resolve(lake, "abcdabcd"), UsageError)
    assert "start of 13 commits" in text
    assert "and 5 more" in text
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  abcd")]
    assert len(set(shown)) == 8
    assert all(len(one) == 64 for one in shown)


def test_what_is_not_there_tells_what_is(lake: Store) -> None:
    (only,) = ids(chain(lake, 1))
    move(lake, "main", only)
    new_branch(lake, "experiment", only)
    new_tag(lake, "v1.0", only)
    text = told(lambda: resolve(lake, "experimnet"), NotFoundError)
    assert "Did you mean 'experiment'?" in text
    assert "Branches: experiment, main. Tags: v1.0." in text
    for revision in ("nothing", "f" * 64, "0123", "refs/v1.0", "tags/main", "abc"):
        text = told(lambda revision=revision: resolve(lake, revision), NotFoundError)  # type: ignore[misc]
        assert revision in text
        assert "Branches: experiment, main" in text
    assert "no HEAD; its default branch is main" in told(lambda: resolve(lake, "HEAD"), NotFoundError)


def test_an_unknown_data_set_tells_which_there_are(lake: Store) -> None:
    assert "There is none at all yet" in told(lambda: resolve(lake, "main"), NotFoundError)
    for name in ("pet", "birds-2024", "birds0", "birds"):
        write(lake, {"f": b"", "g": b""}, dataset=name)
    text = told(lambda: resolve(lake, "main"), NotFoundError)
    assert "no data set 'pets'" in text
    assert "Did you mean 'pet'?" in text
    assert "Data sets: birds-2024, birds, birds0, pet." in text


def test_what_may_not_be_listed_is_not_there_all_the_same(lake: Store, s3: LoopbackS3) -> None:
    write(lake, {"f": b""})
    s3.faults.append(Fault("denied", operation="ListObjectsV2", times=None))
    assert "no branch, tag or commit 'nothing'" in told(lambda: resolve(lake, "nothing"), NotFoundError)


def test_branches_and_tags_are_listed_by_name(lake: Store) -> None:
    first, second = ids(chain(lake, 2))
    assert refs.branches(lake, PETS) == refs.tags(lake, PETS) == ()
    for name in ("b", "main", "a"):
        new_branch(lake, name, first)
    for name in ("v2", "v1.0"):
        new_tag(lake, name, second)
    assert [(one.name, one.commit, one.kind) for one in refs.branches(lake, PETS)] == [
        ("a", first, "branch"),
        ("b", first, "branch"),
        ("main", first, "branch"),
    ]
    assert [(one.name, one.kind) for one in refs.tags(lake, PETS)] == [("v1.0", "tag"), ("v2", "tag")]
    assert refs.all_refs(lake, PETS) == refs.branches(lake, PETS) + refs.tags(lake, PETS)
    assert [one.full_name for one in refs.all_refs(lake, PETS)] == [
        "refs/a",
        "refs/b",
        "refs/main",
        "tags/v1.0",
        "tags/v2",
    ]


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b"{}", b'{"commit":1}', b'{"commit":"abc"}', b'"x"', b"\xff"])
def test_a_broken_ref_is_named_and_can_be_deleted(lake: Store, body: bytes) -> None:
    write(lake, {"f": b""})
    for name, kind in (("exp", "branch"), ("v1", "tag")):
        key = pointers.key(PETS, name, kind)  # type: ignore[arg-type]
        lake.put(key, body, JSON)
        assert lake.uri(key) in told(lambda name=name: resolve(lake, name), IntegrityError)  # type: ignore[misc]
    with pytest.raises(IntegrityError):
        refs.branches(lake, PETS)
    with pytest.raises(IntegrityError):
        branch.delete(lake, PETS, "exp")
    with pytest.raises(IntegrityError):
        tag.delete(lake, PETS, "v1")
    assert branch.delete(lake, PETS, "exp", force=True) == branch.Deleted("exp", None, ())
    assert tag.delete(lake, PETS, "v1", force=True) is None
    assert refs.all_refs(lake, PETS) == ()


def test_a_branch_is_made_once(lake: Store) -> None:
    first, second = ids(chain(lake, 2))
    assert new_branch(lake, "exp", first)
    assert not new_branch(lake, "exp", first)
    assert f"already and points to {first[:12]}" in told(lambda: new_branch(lake, "exp", second), ConflictError)
    assert resolve(lake, "exp") == first
    with pytest.raises(NotFoundError):
        new_branch(lake, "other", "0" * 64)
    with pytest.raises(UsageError):
        new_branch(lake, "a.b", first)
    assert [one.name for one in refs.branches(lake, PETS)] == ["exp"]


def test_a_tag_never_moves(lake: Store) -> None:
    first, second = ids(chain(lake, 2))
    assert new_tag(lake, "v1", first)
    assert not new_tag(lake, "v1", first)
    text = told(lambda: new_tag(lake, "v1", second), ConflictError)
    assert "A tag does not move" in text
    assert resolve(lake, "v1") == first
    assert tag.delete(lake, PETS, "v1") == first
    assert refs.tags(lake, PETS) == ()
    assert "There are: none" in told(lambda: tag.delete(lake, PETS, "v1"), NotFoundError)
    assert new_tag(lake, "v1", second), "a deleted name is free again"
    assert "Did you mean 'v1'?" in told(lambda: tag.delete(lake, PETS, "v11"), NotFoundError)
    with pytest.raises(UsageError):
        new_tag(lake, "V1", first)


def test_a_name_is_a_branch_or_a_tag(lake: Store) -> None:
    (only,) = ids(chain(lake, 1))
    new_branch(lake, "a", only)
    new_tag(lake, "b", only)
    assert "has a branch 'a'" in told(lambda: new_tag(lake, "a", only), ConflictError)
    assert "has a tag 'b'" in told(lambda: new_branch(lake, "b", only), ConflictError)
    assert "has a tag 'b'" in told(lambda: move(lake, "b", only), ConflictError)


def test_a_name_that_two_people_made_both_is_ambiguous(lake: Store) -> None:
    first, second = ids(chain(lake, 2))
    new_branch(lake, "v1", first)
    lake.put_new(KEYS.tag("v1"), lake.get(KEYS.ref("v1")) or b"", JSON)
    text = told(lambda: resolve(lake, "v1"), UsageError)
    assert "both a branch and a tag" in text
    assert "pets@refs/v1 or pets@tags/v1" in text
    lake.put(KEYS.tag("v1"), (lake.get(KEYS.ref("v1")) or b"").replace(first.encode(), second.encode()), JSON)
    assert resolve(lake, "refs/v1") == first
    assert resolve(lake, "tags/v1") == second


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_a_name_for_a_commit_that_is_collected_meanwhile_is_taken_back(
    lake: Store, s3: LoopbackS3, kind: pointers.Kind
) -> None:
    (only,) = ids(chain(lake, 1))
    key = pointers.key(PETS, "v1", kind)
    s3.faults.append(
        Fault(
            "after",
            operation="PutObject",
            when=lambda request: request.key == key,
            callback=lambda: s3.buckets[lake.bucket].remove(KEYS.commit(only)),
        )
    )
    with pytest.raises(NotFoundError, match="collected as garbage while 'v1' was made"):
        pointers.create(lake, PETS, "v1", only, kind, actor="me", now=NOW)
    assert refs.all_refs(lake, PETS) == ()


def test_a_branch_that_is_the_only_way_to_commits_is_kept(lake: Store) -> None:
    base = chain(lake, 2)
    move(lake, "main", base[-1].id)
    exp = chain(lake, 3, parent=base[-1].id, message="exp", minute=10)
    new_branch(lake, "exp", exp[-1].id)
    text = told(lambda: branch.delete(lake, PETS, "exp"), UsageError)
    assert "reaches 3 commits of pets@exp" in text
    for commit in exp:
        assert f"{commit.id[:12]}  {commit.time}  {commit.message}" in text
    assert base[-1].id[:12] not in text
    assert "--force" in text
    assert resolve(lake, "exp") == exp[-1].id

    new_tag(lake, "keep", exp[1].id)
    assert "reaches 1 commit of" in told(lambda: branch.delete(lake, PETS, "exp"), UsageError)
    deleted = branch.delete(lake, PETS, "exp", force=True)
    assert (deleted.name, deleted.commit, ids(deleted.lost)) == ("exp", exp[-1].id, [exp[-1].id])
    assert [one.name for one in refs.branches(lake, PETS)] == ["main"]


def test_a_branch_whose_commits_others_reach_goes(lake: Store) -> None:
    made = ids(chain(lake, 3))
    move(lake, "main", made[2])
    for name, commit in (("old", made[0]), ("same", made[2])):
        new_branch(lake, name, commit)
        assert branch.delete(lake, PETS, name) == branch.Deleted(name, commit, ())
    assert "stays" in told(lambda: branch.delete(lake, PETS, "main", force=True), UsageError)
    assert "There are: main" in told(lambda: branch.delete(lake, PETS, "old"), NotFoundError)
    assert resolve(lake, "main") == made[2]


def test_a_branch_to_a_commit_that_is_not_there_can_be_deleted(lake: Store) -> None:
    made = ids(chain(lake, 2))
    move(lake, "main", made[0])
    new_branch(lake, "exp", made[1])
    lake.delete(KEYS.commit(made[1]))
    with pytest.raises(NotFoundError):
        branch.delete(lake, PETS, "exp")
    assert branch.delete(lake, PETS, "exp", force=True).commit == made[1]
    assert [one.name for one in refs.branches(lake, PETS)] == ["main"]


def test_a_branch_that_moves_while_it_is_deleted_stays(lake: Store, s3: LoopbackS3) -> None:
    made = ids(chain(lake, 2))
    move(lake, "main", made[1])
    new_branch(lake, "exp", made[0])
    other = pointers._body(made[1], "ann", NOW)
    s3.faults.append(
        Fault(
            "before",
            operation="ListObjectsV2",
            callback=lambda: s3.buckets[lake.bucket].put(KEYS.ref("exp"), other),
        )
    )
    with pytest.raises(ConflictError, match="moved meanwhile"):
        branch.delete(lake, PETS, "exp")
    assert resolve(lake, "exp") == made[1]
