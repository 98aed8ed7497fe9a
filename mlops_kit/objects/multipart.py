"""Objects in parts: resumable, verified part by part and as a whole, visible only when complete.

Every part carries its SHA-256, and S3 keeps the SHA-256 of those: the composite checksum. An upload that did not get
to its end stays where it is, and whoever writes the same key next goes on with it; a rule of the bucket removes what
nobody finishes. It is aborted only when what it holds is of no use: other bytes, or a key that is taken.

Source: S3 user guide, "Uploading and copying objects using multipart upload", "Checking object integrity".
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import IntegrityError
from mlops_kit.objects import codes
from mlops_kit.objects.digests import BUFFER, composite_sha256, from_base64, hash_in_parts, to_base64
from mlops_kit.objects.info import version_of
from mlops_kit.objects.parallel import each
from mlops_kit.wire import FileSlice, parse_xml

if TYPE_CHECKING:
    from mlops_kit.objects.store import Store

PARTS_AT_ONCE = 8
_RESTARTS = 3
"""Two who finish the same upload get into each other's way, but hardly time and again."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part as it is to be; ``number`` counts from 1."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it is at S3. ``sha256`` is in hex."""

    number: int
    size: int
    etag: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Finished:
    """An object that was completed: S3's composite checksum of it, and its version."""

    composite: str
    version: str | None


SendPart = Callable[[str, Range, Part | None], Part]
"""Sends one part of an upload (its id, the part, and what an earlier run sent of it), or keeps what is there."""


def upload_file(store: Store, key: str, whole: FileSlice, condition: Mapping[str, str], composite: str | None) -> bool:
    """A file in parts; False: the upload was finished by somebody else, with the same bytes.

    Raises:
        IntegrityError: the file changed since it was hashed.
        ClientError: among others 412, if ``condition`` does not hold.
    """
    digests: list[str] = []
    if composite is None:
        # What was hashed is the whole; that the parts are of the same bytes shows only in one go over all of it.
        with whole.path.open("rb", buffering=0) as file:
            sha256, digests, _ = hash_in_parts(file.read, store.limits.part(whole.size))
        if sha256 != whole.sha256:
            raise whole.changed()

    def send(upload: str, part: Range, there: Part | None) -> Part:
        digest = digests[part.number - 1] if digests else _hash_range(whole, part)
        if there is not None and (there.size, there.sha256) == (part.size, digest):
            if whole.on_bytes is not None:
                whole.on_bytes(part.size)
            return there
        body = FileSlice(whole.path, part.offset, part.size, digest, whole.on_bytes)
        try:
            answer = store.request(
                "UploadPart",
                "PUT",
                key,
                query={"partNumber": str(part.number), "uploadId": upload},
                headers={"x-amz-checksum-sha256": to_base64(digest)},
                body=body,
            )
        except ClientError as exc:
            if codes.of(exc) in codes.OTHER_BYTES:
                raise whole.changed() from exc
            raise
        return Part(part.number, part.size, answer.headers.get("etag", ""), digest)

    expected = composite or composite_sha256(digests)
    try:
        return write(store, key, whole.size, send, condition, expected) is not None
    except OtherPartsError as exc:
        raise whole.changed() from exc


class OtherPartsError(IntegrityError):
    """The parts are right one by one, but not those of the bytes that are on record."""


def write(
    store: Store,
    key: str,
    size: int,
    send: SendPart,
    condition: Mapping[str, str],
    composite: str | None,
    *,
    content_type: str = "application/octet-stream",
) -> Finished | None:
    """All parts, then the object; None: it is there, finished by somebody else or by a call whose answer was lost.

    Raises:
        OtherPartsError: together they are not ``composite``.
        ClientError: among others 412, if ``condition`` does not hold.
    """
    ranges = [Range(*found) for found in store.limits.ranges(size)]
    resume = True
    for last in (*[False] * (_RESTARTS - 1), True):
        upload, there = (_find_unfinished(store, key) if resume else None) or (_create(store, key, content_type), {})
        try:
            return _write(store, key, upload, there, ranges, send, condition, composite)
        except OtherPartsError:
            _abort(store, key, upload)
            if not there or last:
                raise
            resume = False  # an earlier run may have sent parts of other bytes
        except IntegrityError:
            _abort(store, key, upload)
            raise
        except ClientError as exc:
            code = codes.of(exc)
            if code in codes.EXISTS:
                _abort(store, key, upload)
            if code not in codes.UPLOAD_GONE:
                raise
            found = store.head(key)
            if found is not None and found.size == size and composite is not None and found.composite == composite:
                return None
            if last:
                raise
    raise AssertionError("the last round returns or raises")


def _write(
    store: Store,
    key: str,
    upload: str,
    there: Mapping[int, Part],
    ranges: list[Range],
    send: SendPart,
    condition: Mapping[str, str],
    composite: str | None,
) -> Finished:
    parts = each(lambda part: send(upload, part, there.get(part.number)), ranges, at_once=PARTS_AT_ONCE)
    found = composite_sha256([part.sha256 for part in parts])
    if composite is not None and found != composite:
        raise OtherPartsError(f"The parts of {store.uri(key)} have the checksum {found}, expected {composite}.")
    return _complete(store, key, upload, parts, condition, found)


def _create(store: Store, key: str, content_type: str) -> str:
    headers = {
        "content-type": content_type,
        "x-amz-checksum-algorithm": "SHA256",
        "x-amz-checksum-type": "COMPOSITE",
    }
    answer = store.request("CreateMultipartUpload", "POST", key, query={"uploads": ""}, headers=headers)
    return parse_xml(answer.body).findtext("UploadId", "")


def _complete(
    store: Store, key: str, upload: str, parts: list[Part], condition: Mapping[str, str], composite: str
) -> Finished:
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag>"
        f"<ChecksumSHA256>{to_base64(part.sha256)}</ChecksumSHA256></Part>"
        for part in parts
    )
    body = (
        f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{listed}</CompleteMultipartUpload>'
    ).encode()
    digest, _, count = composite.partition("-")
    headers = {"content-type": "application/xml", "x-amz-checksum-sha256": f"{to_base64(digest)}-{count}", **condition}
    answer = store.request(
        "CompleteMultipartUpload", "POST", key, query={"uploadId": upload}, headers=headers, body=body
    )
    return Finished(composite, version_of(answer.headers))


def _abort(store: Store, key: str, upload: str) -> None:
    # What counts is why it is aborted; a role that may not do so leaves it to the bucket's rule.
    with contextlib.suppress(ClientError, BotoCoreError):
        store.request("AbortMultipartUpload", "DELETE", key, query={"uploadId": upload})


def _find_unfinished(store: Store, key: str) -> tuple[str, dict[int, Part]] | None:
    """The newest upload of this key that was begun as :func:`_create` does and not finished, and its parts."""
    try:
        answer = store.request("ListMultipartUploads", "GET", query={"uploads": "", "prefix": key})
        begun = [
            (found.findtext("Initiated", ""), found.findtext("UploadId", ""))
            for found in parse_xml(answer.body).iterfind("Upload")
            if found.findtext("Key") == key
        ]
        if not begun:
            return None
        upload = max(begun)[1]
        return upload, {part.number: part for part in _list_parts(store, key, upload)}
    except ClientError as exc:
        if codes.of(exc) in codes.NOT_FOR_US | codes.UPLOAD_GONE:
            return None
        raise


def _list_parts(store: Store, key: str, upload: str) -> Iterator[Part]:
    """Those that have a SHA-256."""
    marker = "0"
    while True:
        query = {"uploadId": upload, "part-number-marker": marker}
        page = parse_xml(store.request("ListParts", "GET", key, query=query).body)
        for found in page.iterfind("Part"):
            if digest := found.findtext("ChecksumSHA256"):
                yield Part(
                    int(found.findtext("PartNumber", "0")),
                    int(found.findtext("Size", "0")),
                    found.findtext("ETag", ""),
                    from_base64(digest),
                )
        marker = page.findtext("NextPartNumberMarker", "")
        if page.findtext("IsTruncated") != "true" or not marker:
            return


def _hash_range(whole: FileSlice, part: Range) -> str:
    digest, left = hashlib.sha256(), part.size
    room = memoryview(bytearray(min(BUFFER, part.size)))
    with whole.path.open("rb", buffering=0) as file:
        file.seek(part.offset)
        while left:
            count = file.readinto(room[: min(len(room), left)])
            if not count:
                raise whole.changed()
            digest.update(room[:count])
            left -= count
    return digest.hexdigest()
