"""Listings: odd keys come back as they are, and what is there is found with few requests."""

from __future__ import annotations

import random

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_kit.objects import Store
from tests.s3 import Fault, LoopbackS3
from tests.stores import LAKE

ODD = [
    "a b",
    "a+b",
    "a%20b",
    "a\tb",
    "\u00e9/\u00fc",
    "e\u0301/u\u0308",
    "x&<y>\"'",
    "z\r\n",
    "\x01",
    "~",
    "😀",
    "日本",
    "/",
    "//",
    "..",
]


def test_odd_keys_are_written_listed_read_and_deleted(s3: LoopbackS3, lake: Store) -> None:
    keys = sorted([*ODD, "k" * 1024])
    for key in keys:
        assert lake.put_new(key, key.encode())
    assert list(lake.keys("")) == keys
    assert all(lake.get(key) == key.encode() for key in keys)
    assert sorted(lake.present(keys)) == keys
    assert sorted({version.key for version in lake.versions("")}) == keys
    lake.delete_many([(version.key, version.version) for version in lake.versions("")])
    assert s3.buckets[LAKE].keys() == []


def test_a_listing_has_bounds_and_pages(s3: LoopbackS3, lake: Store) -> None:
    keys = [f"n/{number:05d}" for number in range(2500)]
    for key in keys:
        s3.buckets[LAKE].put(key, b"12345")
    s3.forget()
    found = list(lake.listing("n/"))
    assert [item.key for item in found] == keys
    assert len(s3.calls) == 3
    assert (found[0].size, found[0].etag) == (5, f'"{s3.buckets[LAKE].versions(keys[0])[0].etag}"')
    assert abs(found[0].modified.timestamp() - s3.buckets[LAKE].versions(keys[0])[0].modified) < 1
    between = lake.listing("n/", after="n/00010", until="n/00012")
    assert [item.key for item in between] == ["n/00011", "n/00012"]
    assert list(lake.listing("m/")) == []


def test_thousands_of_known_keys_are_found_with_a_request_for_a_thousand(s3: LoopbackS3, lake: Store) -> None:
    keys = [f"files/{number:06d}~{number * 7919 % 65536:04x}.jpg" for number in range(4000)]
    for key in keys:
        s3.buckets[LAKE].put(key, b"")
    s3.forget()
    wanted = sorted([*keys[::2], *(f"{key}x" for key in keys[1::2])])
    assert sorted(lake.present(wanted)) == keys[::2]
    assert len(s3.calls) <= 8
    s3.forget()
    few = [keys[5], keys[2000], keys[3999]]
    assert sorted(lake.present(few)) == few
    assert len(s3.calls) <= len(few) + 1
    assert lake.present([]) == {}


def test_a_crowd_just_before_a_key_does_not_hide_it(s3: LoopbackS3, lake: Store) -> None:
    for number in range(3000):
        s3.buckets[LAKE].put(f"x/{number:04d}", b"")
    s3.buckets[LAKE].put("x/z", b"")
    s3.buckets[LAKE].put("y", b"")
    assert sorted(lake.present(["x/z", "y"])) == ["x/z", "y"]
    assert sorted(lake.present(["x/y", "x/z", "z"])) == ["x/z"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    there=st.sets(st.text("ab/~", min_size=1, max_size=5), max_size=60),
    wanted=st.sets(st.text("ab/~", min_size=1, max_size=5), max_size=30),
)
def test_what_is_present_is_what_a_look_at_each_would_find(
    s3: LoopbackS3, lake: Store, there: set[str], wanted: set[str]
) -> None:
    bucket = s3.buckets[LAKE]
    for key in list(bucket.snapshot()):
        bucket.remove(key)
    for key in there:
        bucket.put(key, b"")
    assert set(lake.present(sorted(wanted))) == there & wanted


def test_versions_come_newest_first_in_pages(s3: LoopbackS3, lake: Store) -> None:
    for number in range(1200):
        s3.buckets[LAKE].put(f"k{number % 3}", str(number).encode())
    lake.delete("k1")
    found = list(lake.versions("k"))
    assert len(found) == 1201
    assert [version.key for version in found] == sorted(version.key for version in found)
    assert [(version.key, version.deleted) for version in found if version.latest] == [
        ("k0", False),
        ("k1", True),
        ("k2", False),
    ]
    assert lake.get("k0", found[0].version) == b"1197"


def test_deletes_go_a_thousand_at_a_time_and_failures_are_told_of(s3: LoopbackS3, lake: Store) -> None:
    keys = [f"{number:04d}" for number in range(2300)]
    random.Random(1).shuffle(keys)  # noqa: S311 - an order, not a secret
    for key in keys:
        s3.buckets[LAKE].put(key, b"")
    s3.forget()
    lake.delete_many((key, None) for key in keys)
    assert [call.operation for call in s3.calls] == ["DeleteObjects"] * 3
    assert list(lake.keys("")) == []
    lake.delete("absent")
    lake.delete_many([("absent", None), ("absent", "0" * 32)])
    lake.delete("absent", "0" * 32)
    s3.faults.append(Fault("denied", operation="DeleteObjects"))
    with pytest.raises(ClientError, match="AccessDenied"):
        lake.delete_many([("a", None)])
