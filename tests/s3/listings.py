"""What is read of buckets: which there are, where and of what kind they are, and pages of their keys and versions."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request, escape, group, iso_date, tag, url_encoded, xml
from tests.s3.model import Bucket, Storage, Version
from tests.s3.pages import objects, page_size, versions

Encode = Callable[[str], str]


def list_buckets(storage: Storage, request: Request) -> Answer:
    prefix = request.query.get("prefix", "")
    found = [
        group("Bucket", tag("Name", name), tag("CreationDate", iso_date(bucket.created)))
        for name, bucket in sorted(storage.buckets.items())
        if name.startswith(prefix)
    ]
    owner = request.account or storage.account
    return xml("ListAllMyBucketsResult", group("Owner", tag("ID", owner)), group("Buckets", *found))


def head_bucket(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    return Answer(200, {"x-amz-bucket-region": storage.region})


def get_location(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """S3 says nothing for us-east-1."""
    return xml("LocationConstraint", "" if storage.region == "us-east-1" else escape(storage.region))


def get_versioning(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    return xml("VersioningConfiguration", tag("Status", "Enabled"))


def list_objects(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """ListObjectsV2."""
    query, encode = request.query, _encoding(request)
    prefix, delimiter, size = query.get("prefix", ""), query.get("delimiter", ""), page_size(query.get("max-keys"))
    token, start = query.get("continuation-token"), query.get("start-after", "")
    page = objects(bucket, prefix, delimiter, start if token is None else _from_token(token), size)
    found = [*_asked(bucket, request, encode), tag("KeyCount", len(page))]
    if token is not None:
        found.append(tag("ContinuationToken", token))
    if start:
        found.append(tag("StartAfter", encode(start)))
    found.append(tag("IsTruncated", "true" if page.truncated else "false"))
    if page.truncated:
        found.append(tag("NextContinuationToken", _to_token(page.last)))
    owner = _owner(bucket) if query.get("fetch-owner") == "true" else ""
    found += [f"<Contents>{_described(key, version, encode)}{owner}</Contents>" for key, version in page.entries]
    found += [group("CommonPrefixes", tag("Prefix", encode(common))) for common in page.prefixes]
    return xml("ListBucketResult", *found)


def list_versions(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """ListObjectVersions: every version and delete marker, newest first within a key."""
    query, encode = request.query, _encoding(request)
    prefix, delimiter, size = query.get("prefix", ""), query.get("delimiter", ""), page_size(query.get("max-keys"))
    after, after_version = query.get("key-marker", ""), query.get("version-id-marker", "")
    if after_version and not after:
        raise S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    page = versions(bucket, prefix, delimiter, after, after_version, size)
    found = [*_asked(bucket, request, encode), tag("KeyMarker", encode(after)), tag("VersionIdMarker", after_version)]
    found.append(tag("IsTruncated", "true" if page.truncated else "false"))
    if page.truncated:
        found.append(tag("NextKeyMarker", encode(page.last)))
        if page.last_version:
            found.append(tag("NextVersionIdMarker", page.last_version))
    for key, version in page.entries:
        latest = "true" if bucket.newest(key) is version else "false"
        said = f"<VersionId>{version.version_id}</VersionId><IsLatest>{latest}</IsLatest>{_owner(bucket)}"
        name = "DeleteMarker" if version.is_marker else "Version"
        found.append(f"<{name}>{_described(key, version, encode)}{said}</{name}>")
    found += [group("CommonPrefixes", tag("Prefix", encode(common))) for common in page.prefixes]
    return xml("ListVersionsResult", *found)


def _asked(bucket: Bucket, request: Request, encode: Encode) -> list[str]:
    """What a listing repeats of its request."""
    query = request.query
    found = [tag("Name", bucket.name), tag("Prefix", encode(query.get("prefix", "")))]
    found.append(tag("MaxKeys", page_size(query.get("max-keys"))))
    if query.get("delimiter"):
        found.append(tag("Delimiter", encode(query["delimiter"])))
    if "encoding-type" in query:
        found.append(tag("EncodingType", query["encoding-type"]))
    return found


def _described(key: str, version: Version, encode: Encode) -> str:
    said = f"<Key>{escape(encode(key))}</Key><LastModified>{iso_date(version.modified)}</LastModified>"
    if version.content is None:
        return said
    checksum = version.checksum
    if checksum is not None:
        algorithm = checksum.algorithm.upper()
        said += f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm><ChecksumType>{checksum.type}</ChecksumType>"
    storage_class = version.headers.get("x-amz-storage-class", "STANDARD")
    return (
        f"{said}<ETag>&quot;{version.etag}&quot;</ETag><Size>{version.content.size}</Size>"
        f"<StorageClass>{storage_class}</StorageClass>"
    )


def _owner(bucket: Bucket) -> str:
    return f"<Owner><ID>{bucket.owner}</ID></Owner>"


def _encoding(request: Request) -> Encode:
    asked = request.query.get("encoding-type")
    if asked not in (None, "url"):
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
    return url_encoded if asked else str


def _to_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from error
