"""PutObject, CopyObject, DeleteObject and DeleteObjects."""

from __future__ import annotations

from collections.abc import Mapping

from tests.s3.checksums import COMPOSITE, Checksum, compute, known, verify
from tests.s3.conditions import check_delete, check_write, copy_source
from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request, group, iso_date, parsed, tag, xml
from tests.s3.model import NO_HEADERS, Bucket, Storage, Version, new_id

DESCRIBING = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-website-redirect-location",
    }
)
ENCRYPTION = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
)
OF_THE_COPY = frozenset({*ENCRYPTION, "x-amz-storage-class"})  # a copy does not take these from its source


def put_object(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    if request.too_large or request.body.size > storage.limits.max_single:
        raise S3Error("EntityTooLarge", detail={"MaxSizeAllowed": str(storage.limits.max_single)})
    checksum = verify(request.body, request.headers)
    check_write(bucket, request.key, request.headers)
    etag = storage.limits.etag(request.body)
    version = Version(new_id(), request.body, etag, stored_headers(request.headers), checksum)
    bucket.add(request.key, version)
    answer = Answer(200, {"etag": f'"{etag}"', "x-amz-version-id": version.version_id} | encryption(version.headers))
    if checksum is not None:
        answer.headers |= {checksum.header: checksum.value, "x-amz-checksum-type": checksum.type}
    return answer


def copy_object(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """A new version that shares the source's content."""
    source_bucket, source_key, source = copy_source(storage, request)
    limit = storage.limits.max_single
    if source.body.size > limit:
        message = f"The specified copy source is larger than the maximum allowable size for a copy source: {limit}"
        raise S3Error("InvalidRequest", message)
    replace = request.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    onto_itself = source_bucket is bucket and source_key == request.key and source is bucket.newest(source_key)
    if onto_itself and not replace and not OF_THE_COPY & request.headers.keys():
        message = "This copy request is illegal because it is trying to copy an object to itself without changing it."
        raise S3Error("InvalidRequest", message)
    check_write(bucket, request.key, request.headers)
    version = Version(
        new_id(),
        source.body,
        storage.limits.etag(source.body) if "-" in source.etag or storage.limits.etags == "random" else source.etag,
        stored_headers(request.headers) if replace else _copied_headers(source.headers, request.headers),
        _copied_checksum(source, request.headers.get("x-amz-checksum-algorithm")),
    )
    bucket.add(request.key, version)
    answer = xml("CopyObjectResult", *copied(version.modified, version.etag, version.checksum))
    answer.headers |= {"x-amz-version-id": version.version_id, "x-amz-copy-source-version-id": source.version_id}
    answer.headers |= encryption(version.headers)
    return answer


def delete_object(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """A delete marker, or with a version id, the end of that version; what is not there is gone already."""
    check_delete(bucket, request.key, request.headers.get("if-match"))
    asked = request.query.get("versionId")
    gone, marker = _deleted(bucket, request.key, asked)
    headers = {"x-amz-version-id": asked or marker}
    if gone:
        headers["x-amz-delete-marker"] = "true"
    return Answer(204, headers)


def delete_objects(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    headers = request.headers
    if verify(request.body, headers) is None and "content-md5" not in headers:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    document = parsed(request.body, "Delete")
    wanted = document.findall("Object")
    if not 1 <= len(wanted) <= 1000 or any(not one.findtext("Key") for one in wanted):
        raise S3Error("MalformedXML")
    quiet = document.findtext("Quiet") == "true"
    results = []
    for one in wanted:
        key, asked = one.findtext("Key", ""), one.findtext("VersionId") or None
        try:
            check_delete(bucket, key, one.findtext("ETag"))
        except S3Error as error:
            results.append(group("Error", tag("Key", key), tag("Code", error.code), tag("Message", error.message)))
            continue
        is_marker, version_id = _deleted(bucket, key, asked)
        named = tag("VersionId", asked) if asked else ""
        marked = tag("DeleteMarker", "true") + tag("DeleteMarkerVersionId", version_id) if is_marker else ""
        if not quiet:
            results.append(group("Deleted", tag("Key", key), named, marked))
    return xml("DeleteResult", *results)


def stored_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Of a request's headers, those that are kept with the object."""
    kept = {
        name: value
        for name, value in headers.items()
        if name in DESCRIBING or name.startswith("x-amz-meta-") or name in OF_THE_COPY
    }
    if kept.get("x-amz-storage-class") == "STANDARD":  # S3 does not say so
        del kept["x-amz-storage-class"]
    return {**NO_HEADERS, **kept} if kept else NO_HEADERS


def encryption(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in ENCRYPTION if name in headers}


def copied(modified: float, etag: str, checksum: Checksum | None) -> list[str]:
    """What the results of CopyObject and UploadPartCopy say."""
    found = [tag("LastModified", iso_date(modified)), tag("ETag", f'"{etag}"')]
    if checksum is not None:
        found += [tag("ChecksumType", checksum.type), tag(checksum.element, checksum.value)]
    return found


def _copied_headers(source: Mapping[str, str], asked: Mapping[str, str]) -> Mapping[str, str]:
    own = {name: value for name, value in asked.items() if name in OF_THE_COPY}
    if not own and not OF_THE_COPY & source.keys():
        return source
    return {name: value for name, value in source.items() if name not in OF_THE_COPY} | own


def _copied_checksum(source: Version, asked: str | None) -> Checksum | None:
    """That of the source, unless another was asked for; a copy is in one piece, so its checksum never is composite."""
    algorithm = known(asked) if asked else source.checksum and source.checksum.algorithm
    if not algorithm:
        return None
    if source.checksum is not None and source.checksum.algorithm == algorithm and source.checksum.type != COMPOSITE:
        return source.checksum
    return compute(algorithm, source.body)


def _deleted(bucket: Bucket, key: str, version_id: str | None) -> tuple[bool, str]:
    """Delete; whether a delete marker was made or removed, and its version id."""
    if version_id is None:
        return True, bucket.add(key, Version(new_id(), None)).version_id
    gone = bucket.remove(key, version_id)
    return gone is not None and gone.is_marker, version_id
