"""Pages of listings: which keys or versions come next, rolled up at a delimiter, and where the page after it starts."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.s3.errors import S3Error
from tests.s3.model import Bucket, Version

PAGE = 1000  # S3's most, and what it gives unasked


@dataclass
class Page:
    """Part of a listing: entries and common prefixes in order, and the last of either if there is more to come."""

    entries: list[tuple[str, Version]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""  # the key or common prefix this page ends with
    last_version: str = ""
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.entries) + len(self.prefixes)


def page_size(asked: str | None) -> int:
    if asked is None:
        return PAGE
    if not asked.isdecimal():
        raise S3Error("InvalidArgument", "Provided max-keys not an integer or within integer range")
    return min(int(asked), PAGE)


def objects(bucket: Bucket, prefix: str, delimiter: str, after: str, size: int) -> Page:
    """The visible keys behind ``after``, which is a key or a common prefix that a page ended with."""
    page, keys = Page(), bucket.keys()
    for index, common in _walk(keys, prefix, delimiter, after):
        key = keys[index]
        version = bucket.current(key)
        if version is None and not (common and _any_visible(bucket, index, common)):
            continue
        if len(page) >= size:
            page.truncated = size > 0
            break
        if common:
            page.prefixes.append(common)
        elif version is not None:
            page.entries.append((key, version))
        page.last = common or key
    return page


def versions(bucket: Bucket, prefix: str, delimiter: str, after: str, after_version: str, size: int) -> Page:
    """All versions behind ``after``, newest first; with ``after_version``, those of ``after`` itself that are older."""
    page, keys = Page(), bucket.keys()
    if after_version and after.startswith(prefix):
        older = bucket.versions(after)
        ids = [version.version_id for version in older]
        if after_version not in ids:
            raise S3Error("InvalidArgument", "Invalid version id specified")
        _fill(page, after, older[ids.index(after_version) + 1 :], size)
    for index, common in _walk(keys, prefix, delimiter, after):
        if page.truncated:
            break
        key = keys[index]
        if not common:
            _fill(page, key, bucket.versions(key), size)
        elif len(page) >= size:
            page.truncated = size > 0
        else:
            page.prefixes.append(common)
            page.last, page.last_version = common, ""
        if size == 0:
            break
    return page


def _fill(page: Page, key: str, found: list[Version], size: int) -> None:
    for version in found:
        if len(page) >= size:
            page.truncated = size > 0
            return
        page.entries.append((key, version))
        page.last, page.last_version = key, version.version_id


def _walk(keys: list[str], prefix: str, delimiter: str, after: str) -> Iterator[tuple[int, str]]:
    """Indexes into ``keys`` below ``prefix``, behind ``after``; of a common prefix, that of its first key."""
    index = bisect_left(keys, max(prefix, after))
    if after and _common(after, prefix, delimiter) == after:  # where a page ended
        index = _behind(keys, after, index)
    elif index < len(keys) and keys[index] == after:
        index += 1
    while index < len(keys) and keys[index].startswith(prefix):
        common = _common(keys[index], prefix, delimiter)
        yield index, common
        index = _behind(keys, common, index) if common else index + 1


def _common(key: str, prefix: str, delimiter: str) -> str:
    """What ``key`` is rolled up into, or nothing."""
    if not delimiter or not key.startswith(prefix):
        return ""
    end = key.find(delimiter, len(prefix))
    return "" if end < 0 else key[: end + len(delimiter)]


def _behind(keys: list[str], common: str, index: int) -> int:
    """The first key from ``index`` on that is behind all that start with ``common``."""
    index = bisect_left(keys, common + chr(sys.maxunicode), index)
    while index < len(keys) and keys[index].startswith(common):
        index += 1
    return index


def _any_visible(bucket: Bucket, index: int, common: str) -> bool:
    keys = bucket.keys()
    while index < len(keys) and keys[index].startswith(common):
        if bucket.current(keys[index]) is not None:
            return True
        index += 1
    return False
