"""Deletes, one or a thousand in a request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from mlops_kit.objects import codes
from mlops_kit.objects.digests import sha256_bytes, to_base64
from mlops_kit.objects.parallel import each
from mlops_kit.wire import parse_xml

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

Item = tuple[str, str | None]

PAGE = 1000
REQUESTS_AT_ONCE = 8
# What XML 1.0 cannot say, not even as an entity: https://www.w3.org/TR/xml/#charsets
_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def delete(store: Store, key: str, version: str | None) -> None:
    try:
        store.request("DeleteObject", "DELETE", key, query={"versionId": version} if version else {})
    except ClientError as exc:
        if codes.of(exc) not in codes.ABSENT | {"NoSuchVersion"}:
            raise


def delete_many(store: Store, items: Iterable[Item]) -> None:
    failures = each(lambda page: _delete_page(store, page), _pages(items), at_once=REQUESTS_AT_ONCE)
    failed = [failure for page in failures for failure in page]
    if failed:
        key, code, message = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        error: Any = {"Error": {"Code": code, "Message": f"{store.uri(key)}: {message}{more}"}}
        raise ClientError(error, "DeleteObjects")


def _pages(items: Iterable[Item]) -> Iterable[list[Item]]:
    rest = iter(items)
    while page := list(islice(rest, PAGE)):
        yield page


def _delete_page(store: Store, items: list[Item]) -> list[tuple[str, str, str]]:
    """Key, code and message of each one that could not be deleted."""
    sayable = [item for item in items if not _UNSPEAKABLE.search(item[0])]
    for key, version in items if len(sayable) < len(items) else ():
        if _UNSPEAKABLE.search(key):
            delete(store, key, version)
    if not sayable:
        return []
    objects = "".join(map(_object, sayable))
    body = (f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>{objects}</Delete>').encode()
    digest = sha256_bytes(body)
    headers = {"content-type": "application/xml", "x-amz-checksum-sha256": to_base64(digest)}
    answer = store.request("DeleteObjects", "POST", query={"delete": ""}, headers=headers, body=body, sha256=digest)
    return [
        (error.findtext("Key", ""), error.findtext("Code", ""), error.findtext("Message", ""))
        for error in parse_xml(answer.body).iterfind("Error")
        if error.findtext("Code") != "NoSuchVersion"
    ]


def _object(item: Item) -> str:
    key, version = item
    named = f"<VersionId>{escape(version)}</VersionId>" if version else ""
    return f"<Object><Key>{escape(key, {chr(13): '&#13;'})}</Key>{named}</Object>"
