"""Logs and graphs: what led to a commit, read ahead in parallel, and drawn."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlops_kit.datasets import ancestry, branch, history, refs, tag
from mlops_kit.datasets.ancestry import ancestor, commit_ids, reachable
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from tests.commits import JSON, NOW, PETS, chain, ids, write
from tests.s3 import LoopbackS3

KEYS = DatasetKeys(PETS)


def point(lake: Store, name: str, commit: str) -> None:
    branch.create(lake, PETS, name, commit, actor="me", now=NOW)


def test_a_log_is_newest_first_and_ends_at_the_root(lake: Store) -> None:
    made = chain(lake, 5)
    whole = history.log(lake, PETS, made[-1].id)
    assert whole == history.Log(tuple(reversed(made)), more=False, absent=None)
    assert history.log(lake, PETS, made[-1].id, limit=2) == history.Log((made[4], made[3]), more=True, absent=None)
    assert history.log(lake, PETS, made[-1].id, limit=5) == whole
    with pytest.raises(NotFoundError):
        history.log(lake, PETS, "0" * 64)


def test_a_log_ends_where_a_parent_was_never_promoted(lake: Store) -> None:
    first, second = chain(lake, 2, parent="e" * 64)
    found = history.log(lake, PETS, second.id)
    assert found == history.Log((second, first), more=False, absent="e" * 64)
    assert history.log(lake, PETS, second.id, limit=1) == history.Log((second,), more=True, absent=None)
    assert history.log(lake, PETS, second.id, limit=2) == found
    with pytest.raises(NotFoundError, match="1 ancestor in"):
        ancestor(lake, PETS, second.id, 2)


def test_a_long_log_does_not_take_a_round_trip_a_commit(lake: Store, s3: LoopbackS3) -> None:
    made = chain(lake, 150)
    s3.forget()
    assert ids(history.log(lake, PETS, made[-1].id).commits) == ids(made)[::-1]
    read = [call.key for call in s3.calls if call.operation == "GetObject"]
    assert len(read) == len(set(read)) == 150, "each header is read once"
    s3.forget()
    assert len(history.log(lake, PETS, made[-1].id, limit=1).commits) == 1
    assert [call.operation for call in s3.calls].count("GetObject") == 1


def test_headers_are_read_ahead_in_few_windows(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = chain(lake, 100)
    batches: list[int] = []
    each = ancestry.each

    def counted(function, items, **options):  # type: ignore[no-untyped-def]
        items = list(items)
        batches.append(len(items))
        return each(function, items, **options)

    monkeypatch.setattr(ancestry, "each", counted)
    history.log(lake, PETS, made[-1].id)
    assert len(batches) <= 6, "the listing, then windows of 16, 32, 64 and more headers"


def test_from_an_old_commit_what_came_later_is_not_read(lake: Store, s3: LoopbackS3) -> None:
    made = chain(lake, 80)
    for age, commit in enumerate(reversed(made)):
        s3.buckets[lake.bucket].version(KEYS.commit(commit.id)).modified -= 10 * age
    s3.forget()
    found = history.log(lake, PETS, made[40].id, limit=10)
    assert found == history.Log(tuple(made[40:30:-1]), more=True, absent=None)
    read = {call.key for call in s3.calls if call.operation == "GetObject"}
    assert read <= {KEYS.commit(commit.id) for commit in made[:41]}
    assert len(read) <= 20


def test_a_changed_header_ends_a_log_only_if_it_is_part_of_it(lake: Store, s3: LoopbackS3) -> None:
    made = chain(lake, 4)
    aside = write(lake, {"x": b""}, message="aside")
    lake.put(KEYS.commit(aside.id), b"junk", JSON)
    rotten = write(lake, {"x": b""}, message="rotten")
    s3.buckets[lake.bucket].overwrite(KEYS.commit(rotten.id), b"not what S3's own checksum is of")
    assert len(history.log(lake, PETS, made[-1].id).commits) == 4
    assert set(reachable(lake, PETS, [made[-1].id])) == set(ids(made))
    lake.put(KEYS.commit(made[1].id), made[0].to_json(), JSON)
    with pytest.raises(IntegrityError, match=made[1].id):
        history.log(lake, PETS, made[-1].id)


def test_a_header_of_another_data_set_is_not_taken(lake: Store) -> None:
    other = write(lake, {"x": b""}, dataset="birds")
    lake.put_new(KEYS.commit(other.id), other.to_json())
    with pytest.raises(IntegrityError, match="one of birds"):
        history.log(lake, PETS, other.id)


def test_commits_are_listed_without_what_lies_beside_them(lake: Store) -> None:
    made = chain(lake, 20)
    lake.put_new(KEYS.file_list("f" * 64), b"in flight")
    assert sorted(commit_ids(lake, PETS)) == sorted(ids(made))
    assert commit_ids(lake, PETS, made[0].id[:10]) == [made[0].id]
    assert commit_ids(lake, "nothing") == []


def test_a_graph_has_all_that_refs_reach(lake: Store) -> None:
    base = chain(lake, 2)
    left = chain(lake, 2, parent=base[1].id, message="left", minute=10)
    right = chain(lake, 1, parent=base[1].id, message="right", minute=9)
    right += chain(lake, 1, parent=right[0].id, message="right again", minute=12)
    write(lake, {"x": b""}, message="nothing points here")
    point(lake, "main", left[1].id)
    point(lake, "exp", right[1].id)
    tag.create(lake, PETS, "v1", base[0].id, actor="me", now=NOW)
    tag.create(lake, PETS, "v2", left[1].id, actor="me", now=NOW)
    graph = history.graph(lake, PETS)
    assert graph.commits == (right[1], left[1], left[0], right[0], base[1], base[0])
    assert {commit: [ref.full_name for ref in found] for commit, found in graph.refs.items()} == {
        left[1].id: ["refs/main", "tags/v2"],
        right[1].id: ["refs/exp"],
        base[0].id: ["tags/v1"],
    }
    assert graph.absent == frozenset()
    assert graph.dangling == ()


def test_a_graph_says_what_is_not_here(lake: Store) -> None:
    (promoted,) = chain(lake, 1, parent="e" * 64)
    (gone,) = chain(lake, 1, message="gone")
    point(lake, "main", promoted.id)
    point(lake, "exp", gone.id)
    lake.delete(KEYS.commit(gone.id))
    graph = history.graph(lake, PETS)
    assert graph.commits == (promoted,)
    assert graph.absent == {"e" * 64}
    assert [ref.name for ref in graph.dangling] == ["exp"]
    assert history.graph(lake, "nothing") == history.Graph((), {}, frozenset(), ())


def test_a_child_stands_above_its_parent_whatever_the_clocks_said() -> None:
    parents = {"a": None, "b": "a", "c": "b", "x": "a"}
    times = {"a": "2026-04", "b": "2026-01", "c": "2026-03", "x": "2026-02"}
    assert history.newest_first(parents, times) == ["c", "x", "b", "a"]


def test_a_commit_is_not_its_own_ancestor() -> None:
    with pytest.raises(IntegrityError, match="own ancestor"):
        history.newest_first({"a": "b", "b": "a", "c": None}, dict.fromkeys("abc", ""))
    with pytest.raises(IntegrityError, match="own ancestor"):
        history.newest_first({"a": "a"}, {"a": ""})


def drawn(order: str, parents: Mapping[str, str | None]) -> str:
    lines = history.draw(list(order), parents)
    return "\n" + "\n".join(f"{line.drawing} {line.commit or ''}".rstrip() for line in lines)


def test_a_straight_line_is_drawn() -> None:
    assert drawn("cba", {"c": "b", "b": "a", "a": None}) == "\n* c\n* b\n* a"
    assert drawn("", {}) == "\n"
    assert drawn("a", {"a": "elsewhere"}) == "\n* a"


def test_a_fork_comes_together_above_its_parent() -> None:
    assert (
        drawn("cxba", {"c": "b", "b": "a", "x": "a", "a": None})
        == r"""
* c
| * x
* | b
|/
* a"""
    )


def test_three_children_come_together() -> None:
    assert (
        drawn("cdea", {"c": "a", "d": "a", "e": "a", "a": None})
        == r"""
* c
| * d
| | * e
| |/
|/
* a"""
    )


def test_a_line_crosses_another_one() -> None:
    parents = {"c": "p", "d": "q", "e": "p", "p": "q", "q": None}
    assert (
        drawn("cdepq", parents)
        == r"""
* c
| * d
| | * e
| |/
|/|
* | p
|/
* q"""
    )


def test_lines_move_up_when_one_ends() -> None:
    parents = {"c": "a", "x": None, "d": "b", "a": "r", "b": "r", "r": None}
    assert (
        drawn("cxdabr", parents)
        == r"""
* c
| * x
| * d
* | a
| * b
|/
* r"""
    )
    parents = {"c": "p", "d": "p", "e": "q", "p": None, "q": None}
    assert (
        drawn("cdepq", parents)
        == r"""
* c
| * d
| | * e
|/ /
* | p
 /
* q"""
    )


def test_further_lines_of_a_commit_stand_beside_its_line() -> None:
    parents = {"c": "b", "x": "a", "b": None, "a": None}
    lines = list(history.draw(list("cxba"), parents))
    assert [(line.drawing, line.below) for line in lines if line.commit] == [
        ("*", "|"),
        ("| *", "| |"),
        ("* |", "  |"),
        ("*", ""),
    ]


def test_what_is_drawn_is_what_the_lake_has(lake: Store) -> None:
    base = chain(lake, 1)
    main = chain(lake, 1, parent=base[0].id, message="main", minute=5)
    exp = chain(lake, 1, parent=base[0].id, message="exp", minute=7)
    point(lake, "main", main[0].id)
    point(lake, "exp", exp[0].id)
    graph = history.graph(lake, PETS)
    lines = list(history.draw(ids(graph.commits), {one.id: one.parent for one in graph.commits}))
    assert [(line.drawing, line.commit) for line in lines] == [
        ("*", exp[0].id),
        ("| *", main[0].id),
        ("|/", None),
        ("*", base[0].id),
    ]
    assert [ref.name for ref in history.by_commit(refs.all_refs(lake, PETS))[exp[0].id]] == ["exp"]
