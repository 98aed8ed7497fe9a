"""GetObject, HeadObject, GetObjectAttributes and GetObjectTagging."""

from __future__ import annotations

from collections.abc import Mapping

from tests.s3.conditions import check_read, readable
from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request, group, http_date, tag, xml
from tests.s3.model import PART_LIMIT, Bucket, Storage, Version

Span = tuple[int, int]  # from, to before
OVERRIDES = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")


def get_object(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """The bytes, or the range of them that was asked for; HeadObject is the same without them."""
    version = readable(bucket, request.key, request.query.get("versionId"))
    check_read(version, request.headers)
    answer = Answer(200, _headers(version, request))
    size = version.body.size
    span = _span(version, request)
    if span is None:
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            answer.headers |= _checksum(version)
        span = (0, size)
    else:
        answer.status = 206
        answer.headers["content-range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
    if request.method == "HEAD":
        answer.size = span[1] - span[0]
    else:
        answer.body = version.body.part(*span)
    return answer


def get_attributes(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """What was asked for of ETag, Checksum, ObjectParts, StorageClass and ObjectSize."""
    version = readable(bucket, request.key, request.query.get("versionId"))
    wanted = {name.strip() for name in request.headers.get("x-amz-object-attributes", "").split(",")}
    if wanted == {""}:
        raise S3Error("InvalidRequest", "The x-amz-object-attributes header is required.")
    found = []
    if "ETag" in wanted:
        found.append(tag("ETag", version.etag))
    if "Checksum" in wanted and version.checksum is not None:
        checksum = version.checksum
        found.append(group("Checksum", tag(checksum.element, checksum.value), tag("ChecksumType", checksum.type)))
    if "ObjectParts" in wanted and version.parts:
        found.append(_parts(version, request.headers))
    if "StorageClass" in wanted:
        found.append(tag("StorageClass", version.headers.get("x-amz-storage-class", "STANDARD")))
    if "ObjectSize" in wanted:
        found.append(tag("ObjectSize", version.body.size))
    answer = xml("GetObjectAttributesResponse", *found)
    answer.headers |= {"x-amz-version-id": version.version_id, "last-modified": http_date(version.modified)}
    return answer


def get_tagging(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """No object has tags."""
    version = readable(bucket, request.key, request.query.get("versionId"))
    answer = xml("Tagging", "<TagSet/>")
    answer.headers["x-amz-version-id"] = version.version_id
    return answer


def _headers(version: Version, request: Request) -> dict[str, str]:
    headers = {
        **version.headers,
        "last-modified": http_date(version.modified),
        "etag": f'"{version.etag}"',
        "accept-ranges": "bytes",
        "x-amz-version-id": version.version_id,
    }
    for name in OVERRIDES:
        if f"response-{name}" in request.query:
            headers[name] = request.query[f"response-{name}"]
    if version.parts and "partNumber" in request.query:
        headers["x-amz-mp-parts-count"] = str(len(version.parts))
    return headers


def _checksum(version: Version) -> dict[str, str]:
    checksum = version.checksum
    return {} if checksum is None else {checksum.header: checksum.value, "x-amz-checksum-type": checksum.type}


def _span(version: Version, request: Request) -> Span | None:
    """The range that Range or partNumber ask for; None for everything, also if Range makes no sense."""
    size = version.body.size
    if number := request.query.get("partNumber"):
        return _part_span(version, number)
    unit, _, asked = request.headers.get("range", "").partition("=")
    first, dash, last = asked.strip().partition("-")
    if unit != "bytes" or not dash or not (first + last).isdecimal():
        return None
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise S3Error(
            "InvalidRange", headers={"content-range": f"bytes */{size}"}, detail={"ActualObjectSize": str(size)}
        )
    return start, end


def _part_span(version: Version, number: str) -> Span | None:
    sizes = [part.content.size for part in version.parts] or [version.body.size]
    if not number.isdecimal() or not 1 <= int(number) <= PART_LIMIT:
        raise S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    if int(number) > len(sizes):
        raise S3Error("InvalidRange", "The requested partnumber is not satisfiable")
    start = sum(sizes[: int(number) - 1])
    return (start, start + sizes[int(number) - 1]) if version.body.size else None


def _parts(version: Version, headers: Mapping[str, str]) -> str:
    marker, most = int(headers.get("x-amz-part-number-marker", 0)), int(headers.get("x-amz-max-parts", 1000))
    numbered = [(number, part) for number, part in enumerate(version.parts, 1) if number > marker]
    shown = [
        group("Part", tag("PartNumber", number), tag("Size", part.content.size), tag(checksum.element, checksum.value))
        for number, part in numbered[:most]
        if (checksum := part.checksum) is not None
    ]
    return group(
        "ObjectParts",
        tag("PartsCount", len(version.parts)),
        tag("PartNumberMarker", marker),
        tag("NextPartNumberMarker", numbered[:most][-1][0] if numbered[:most] else 0),
        tag("MaxParts", most),
        tag("IsTruncated", "true" if len(numbered) > most else "false"),
        *shown,
    )
