"""What is in a bucket: page by page, between two keys, and which of many keys are there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from mlops_kit.objects.info import Listed, Version
from mlops_kit.objects.parallel import each
from mlops_kit.wire import parse_xml

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

PAGE = 1000
"""Keys in an answer, at most."""
RANGES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Page:
    """One answer; ``more`` is how to ask for the next, None if this is the last."""

    found: list[Listed]
    more: str | None


def page(
    store: Store, prefix: str, *, after: str | None = None, token: str | None = None, most: int | None = None
) -> Page:
    # Keys may hold characters that XML cannot.
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    if token is not None:
        query["continuation-token"] = token
    elif after is not None:
        query["start-after"] = after
    if most is not None:
        query["max-keys"] = str(most)
    document = parse_xml(store.request("ListObjectsV2", "GET", query=query).body)
    encoded = document.findtext("EncodingType") == "url"
    found = [
        Listed(_key(item["Key"], encoded), int(item["Size"]), item.get("ETag", ""), _time(item["LastModified"]))
        for item in ({child.tag: child.text or "" for child in element} for element in document.iterfind("Contents"))
    ]
    more = document.findtext("NextContinuationToken") if document.findtext("IsTruncated") == "true" else None
    return Page(found, more)


def listing(store: Store, prefix: str, *, after: str | None = None, until: str | None = None) -> Iterator[Listed]:
    token: str | None = None
    while True:
        got = page(store, prefix, after=after, token=token)
        for item in got.found:
            # Strings compare by code point, which is the order of their UTF-8 bytes.
            if until is not None and item.key > until:
                return
            yield item
        token = got.more
        if token is None:
            return


def holds(store: Store, key: str) -> bool:
    """Whether the listing has this very key, which is the first of all that start with it."""
    return any(item.key == key for item in page(store, key, most=1).found)


def present(store: Store, keys: Sequence[str]) -> dict[str, Listed]:
    ranges = [keys[start : start + PAGE] for start in range(0, len(keys), PAGE)]
    found: dict[str, Listed] = {}
    for there in each(lambda part: _present(store, part), ranges, at_once=RANGES_AT_ONCE):
        found.update(there)
    return found


def _present(store: Store, keys: Sequence[str]) -> dict[str, Listed]:
    """Where other keys lie between these, a page may not reach far; the next one begins before the next key of these.

    So there are hardly more requests than keys, and one if little lies between them.
    """
    wanted = frozenset(keys)
    found: dict[str, Listed] = {}
    position = 0
    while position < len(keys):
        first, left = keys[position], len(keys) - position
        prefix = _common(first, keys[-1])
        after = None if first == prefix else first[:-1]  # close before it: the same key with another end lies between
        got = page(store, prefix, after=after, most=min(PAGE, 2 * left + 10))
        found |= {item.key: item for item in got.found if item.key in wanted}
        if got.more is None:
            break
        reached = got.found[-1].key if got.found else ""
        if reached < first:
            found |= {item.key: item for item in page(store, first, most=1).found if item.key == first}
            reached = first
        position = bisect_right(keys, reached, position)
    return found


def _common(one: str, other: str) -> str:
    """The beginning that two keys share."""
    for position, (here, there) in enumerate(zip(one, other, strict=False)):
        if here != there:
            return one[:position]
    return min(one, other)


def versions(store: Store, prefix: str) -> Iterator[Version]:
    query = {"versions": "", "prefix": prefix, "encoding-type": "url"}
    while True:
        document = parse_xml(store.request("ListObjectVersions", "GET", query=query).body)
        encoded = document.findtext("EncodingType") == "url"
        for element in document:
            if element.tag in ("Version", "DeleteMarker"):
                yield _version(element, encoded)
        if document.findtext("IsTruncated") != "true":
            return
        query["key-marker"] = _key(document.findtext("NextKeyMarker", ""), encoded)
        query["version-id-marker"] = document.findtext("NextVersionIdMarker", "")


def _version(element: Element, encoded: bool) -> Version:
    item = {child.tag: child.text or "" for child in element}
    return Version(
        key=_key(item["Key"], encoded),
        version=item["VersionId"],
        etag=item.get("ETag", ""),
        size=int(item.get("Size", "0")),
        modified=_time(item["LastModified"]),
        latest=item.get("IsLatest") == "true",
        deleted=element.tag == "DeleteMarker",
    )


def _key(text: str, encoded: bool) -> str:
    return unquote_plus(text) if encoded and ("%" in text or "+" in text) else text


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
