"""Listings of the loopback S3: their order, their pages, and what they roll up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.s3 import LoopbackS3
from tests.s3.clients import Wire, client
from tests.s3.pages import objects, versions

LAKE = "acme-dev-lake"
PREFIXES = st.text(alphabet="ab/", max_size=2)
KEYS = st.text(alphabet="ab/", min_size=1, max_size=5)


@pytest.fixture
def s3() -> Iterator[LoopbackS3]:
    with LoopbackS3({LAKE: "111111111111"}) as server:
        yield server


@pytest.fixture
def boto(s3: LoopbackS3) -> Iterator[Any]:
    with client(s3) as made:
        yield made


def fill(s3: LoopbackS3, *keys: str) -> None:
    for key in keys:
        s3.buckets[LAKE].put(key, key.encode())


def listed(answer: dict[str, Any]) -> list[str]:
    return [entry["Key"] for entry in answer.get("Contents", [])]


def test_keys_are_in_the_order_of_their_utf8_bytes(s3: LoopbackS3, boto: Any) -> None:
    keys = ["b", "a", "a/b", "a b", "a+b", "a%b", "ü", "Z", "\uff5e", "\U0001f600", "a&<>\"'", "a\x01", "a\r\n"]
    fill(s3, *keys)
    answer = boto.list_objects_v2(Bucket=LAKE)
    assert listed(answer) == sorted(keys, key=str.encode)
    assert answer["KeyCount"] == len(keys)
    assert answer["IsTruncated"] is False
    found = {entry["Key"]: entry for entry in answer["Contents"]}
    assert found["b"]["ETag"] == boto.head_object(Bucket=LAKE, Key="b")["ETag"]
    assert (found["a/b"]["Size"], found["a/b"]["StorageClass"]) == (3, "STANDARD")


def test_keys_are_escaped_in_xml(s3: LoopbackS3) -> None:
    fill(s3, "a\rb&<c")
    with Wire(s3) as wire:
        assert b"<Key>a&#13;b&amp;&lt;c</Key>" in wire.ask("GET", f"/{LAKE}?list-type=2")[2]
        assert b"<Key>a%0Db%26%3Cc</Key>" in wire.ask("GET", f"/{LAKE}?list-type=2&encoding-type=url")[2]
        assert wire.ask("GET", f"/{LAKE}?list-type=2&encoding-type=other")[0] == 400


@pytest.mark.parametrize(("listed_after", "removed_after"), [(3, 5), (3, 999), (100, 5), (100, 999)])
def test_keys_stay_sorted_while_they_come_and_go(s3: LoopbackS3, listed_after: int, removed_after: int) -> None:
    lake = s3.buckets[LAKE]
    for number in range(300):
        lake.put(f"{number * 7919 % 300}", b"")
        if number % listed_after == 0:
            assert lake.keys() == sorted(lake.keys())
        if number % removed_after == 0:
            lake.remove(f"{number * 7919 % 300}")
            lake.put(f"{number * 7919 % 300}", b"")
    assert lake.keys() == sorted(str(number) for number in range(300))


def test_pages(s3: LoopbackS3, boto: Any) -> None:
    fill(s3, *(f"p/{number:04}" for number in range(2500)), "q")
    pages = list(boto.get_paginator("list_objects_v2").paginate(Bucket=LAKE, Prefix="p/"))
    assert [len(page["Contents"]) for page in pages] == [1000, 1000, 500]
    assert [key for page in pages for key in listed(page)] == [f"p/{number:04}" for number in range(2500)]
    few = boto.list_objects_v2(Bucket=LAKE, Prefix="p/", MaxKeys=2, StartAfter="p/0007")
    assert (listed(few), few["IsTruncated"], few["StartAfter"]) == (["p/0008", "p/0009"], True, "p/0007")
    none = boto.list_objects_v2(Bucket=LAKE, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    for wrong in ({"MaxKeys": -1}, {"ContinuationToken": "ÿ"}):
        with pytest.raises(ClientError, match="InvalidArgument"):
            boto.list_objects_v2(Bucket=LAKE, **wrong)


def test_the_last_page_says_that_it_is_the_last(s3: LoopbackS3, boto: Any) -> None:
    fill(s3, "a", "b", "c")
    s3.buckets[LAKE].delete("c")
    assert boto.list_objects_v2(Bucket=LAKE, MaxKeys=2)["IsTruncated"] is False


def test_common_prefixes_are_rolled_up(s3: LoopbackS3, boto: Any) -> None:
    fill(s3, "a", "d ir/1", "d ir/2", "dir/sub/1", "e", "gone/1", "dir/0")
    s3.buckets[LAKE].delete("gone/1")
    answer = boto.list_objects_v2(Bucket=LAKE, Delimiter="/")
    assert listed(answer) == ["a", "e"]
    assert [common["Prefix"] for common in answer["CommonPrefixes"]] == ["d ir/", "dir/"]
    inside = boto.list_objects_v2(Bucket=LAKE, Delimiter="/", Prefix="dir/")
    assert (listed(inside), inside["CommonPrefixes"]) == (["dir/0"], [{"Prefix": "dir/sub/"}])


@given(keys=st.sets(KEYS), hidden=st.sets(KEYS), prefix=PREFIXES, delimiter=st.sampled_from(("", "/")))
def test_pages_add_up_to_what_one_would_filter_by_hand(
    keys: set[str], hidden: set[str], prefix: str, delimiter: str
) -> None:
    bucket = LoopbackS3({LAKE: "1"}).buckets[LAKE]
    for key in keys:
        bucket.put(key, b"")
        if key in hidden:
            bucket.delete(key)
    expected, rolled = [], set()
    for key in keys - hidden:
        rest = key.removeprefix(prefix)
        if key.startswith(prefix) and delimiter and delimiter in rest:
            rolled.add(prefix + rest.partition("/")[0] + "/")
        elif key.startswith(prefix):
            expected.append(key)
    found: list[str] = []
    prefixes: list[str] = []
    last, more = "", True
    while more:
        page = objects(bucket, prefix, delimiter, last, 2)
        assert len(page) <= 2
        found += [key for key, _ in page.entries]
        prefixes += page.prefixes
        last, more = page.last, page.truncated
    assert (found, prefixes) == (sorted(expected), sorted(rolled))


def test_versions_are_listed_newest_first(s3: LoopbackS3, boto: Any) -> None:
    lake = s3.buckets[LAKE]
    ids = [lake.put("k", b"1").version_id, lake.put("k", b"22").version_id, lake.delete("k").version_id]
    lake.put("k2", b"3")
    answer = boto.list_object_versions(Bucket=LAKE, Prefix="k")
    found = [(one["Key"], one["VersionId"], one["IsLatest"], one["Size"]) for one in answer["Versions"]]
    assert found[:2] == [("k", ids[1], False, 2), ("k", ids[0], False, 1)]
    assert [(one["Key"], one["IsLatest"]) for one in answer["Versions"][2:]] == [("k2", True)]
    assert [(one["VersionId"], one["IsLatest"]) for one in answer["DeleteMarkers"]] == [(ids[2], True)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_versions_lose_none(s3: LoopbackS3, boto: Any, size: int) -> None:
    lake = s3.buckets[LAKE]
    for key in ("a b", "b/1", "b/2", "c"):
        lake.put(key, b"1")
        lake.put(key, b"2")
        lake.delete(key)
    found = []
    marker: dict[str, str] = {}
    while True:
        answer = boto.list_object_versions(Bucket=LAKE, MaxKeys=size, **marker)
        both = answer.get("Versions", []) + answer.get("DeleteMarkers", [])
        assert len(both) <= size
        found += [(one["Key"], one["VersionId"]) for one in both]
        if not answer["IsTruncated"]:
            break
        marker = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}
    assert sorted(found) == sorted(
        (key, version) for key, all_of in lake.snapshot_versions().items() for version, _ in all_of
    )
    assert len(found) == len(set(found)) == 12


def test_versions_are_rolled_up_and_begin_behind_a_key(s3: LoopbackS3, boto: Any) -> None:
    fill(s3, "a", "d/1", "d/2", "e")
    rolled = boto.list_object_versions(Bucket=LAKE, Delimiter="/")
    assert [one["Key"] for one in rolled["Versions"]] == ["a", "e"]
    assert rolled["CommonPrefixes"] == [{"Prefix": "d/"}]
    behind = boto.list_object_versions(Bucket=LAKE, KeyMarker="d/1")
    assert [one["Key"] for one in behind["Versions"]] == ["d/2", "e"]
    page = versions(s3.buckets[LAKE], "", "/", "", "", 2)
    assert (page.last, page.truncated) == ("d/", True)
    assert [key for key, _ in versions(s3.buckets[LAKE], "", "/", page.last, "", 2).entries] == ["e"]
    with pytest.raises(ClientError, match="InvalidArgument"):
        boto.list_object_versions(Bucket=LAKE, KeyMarker="a", VersionIdMarker="0")
