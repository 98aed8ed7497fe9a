"""Multipart uploads: begin, upload or copy parts, complete, abort, and list what is under way."""

from __future__ import annotations

from itertools import pairwise
from xml.etree.ElementTree import Element

from tests.s3.checksums import (
    COMPOSITE,
    FULL,
    VERIFIED,
    Checksum,
    composite,
    compute,
    given,
    known,
    md5_of_md5s,
    verify,
)
from tests.s3.conditions import check_write, copy_source
from tests.s3.content import Content, joined
from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request, group, iso_date, parsed, tag, xml
from tests.s3.model import PART_LIMIT, Bucket, Part, Storage, Upload, Version, new_id
from tests.s3.pages import page_size
from tests.s3.writes import copied, encryption, stored_headers


def create(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    asked = request.headers.get("x-amz-checksum-algorithm")
    algorithm = known(asked) if asked else None
    kind = request.headers.get("x-amz-checksum-type", FULL if algorithm == "crc64nvme" else COMPOSITE)
    if algorithm and (algorithm, kind) in {("sha1", FULL), ("sha256", FULL), ("crc64nvme", COMPOSITE)}:
        message = f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."
        raise S3Error("InvalidRequest", message)
    upload = Upload(new_id(), request.key, stored_headers(request.headers), algorithm, kind if algorithm else None)
    bucket.uploads[upload.upload_id] = upload
    named = [tag("Bucket", bucket.name), tag("Key", request.key), tag("UploadId", upload.upload_id)]
    answer = xml("InitiateMultipartUploadResult", *named)
    if algorithm:
        answer.headers |= {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": kind}
    answer.headers |= encryption(upload.headers)
    return answer


def upload_part(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    upload, number = _asked(bucket, request)
    if request.too_large or request.body.size > storage.limits.max_single:
        raise S3Error("EntityTooLarge", detail={"MaxSizeAllowed": str(storage.limits.max_single)})
    checksum = verify(request.body, request.headers)
    sent = checksum.algorithm if checksum else "null"
    if upload.algorithm and sent != upload.algorithm and (checksum or upload.checksum_type == COMPOSITE):
        message = f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}, actual: {sent}"
        raise S3Error("InvalidRequest", message)
    part = Part(number, request.body, storage.limits.etag(request.body), checksum)
    upload.parts[number] = part
    headers = {"etag": f'"{part.etag}"'} | encryption(upload.headers)
    if checksum is not None:
        headers[checksum.header] = checksum.value
    return Answer(200, headers)


def upload_part_copy(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    upload, number = _asked(bucket, request)
    _, _, source = copy_source(storage, request)
    content = _range(source.body, request.headers.get("x-amz-copy-source-range"))
    if content.size > storage.limits.max_single:
        limit = storage.limits.max_single
        message = f"The specified copy source is larger than the maximum allowable size for a copy source: {limit}"
        raise S3Error("InvalidRequest", message)
    computed = upload.algorithm and (upload.checksum_type == COMPOSITE or upload.algorithm in VERIFIED)
    checksum = compute(upload.algorithm, content) if upload.algorithm and computed else None
    part = Part(number, content, storage.limits.etag(content), checksum)
    upload.parts[number] = part
    answer = xml("CopyPartResult", *copied(part.modified, part.etag, checksum))
    answer.headers["x-amz-copy-source-version-id"] = source.version_id
    return answer


def complete(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """The parts that the request lists become one version; any other part is dropped."""
    upload = bucket.upload(request.key, request.query["uploadId"])
    parts = _listed(upload, request, storage.limits.min_part)
    content = joined(part.content for part in parts)
    declared = request.headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(content.size):
        raise S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match the object's size.")
    checksum = _whole(upload, parts, content, given(request.headers))
    check_write(bucket, request.key, request.headers)
    etag = md5_of_md5s([part.etag for part in parts])
    version = Version(new_id(), content, etag, upload.headers, checksum, tuple(parts))
    bucket.add(request.key, version)
    del bucket.uploads[upload.upload_id]
    found = [
        tag("Location", f"http://{request.headers.get('host', '')}/{bucket.name}/{request.key}"),
        tag("Bucket", bucket.name),
        tag("Key", request.key),
        tag("ETag", f'"{etag}"'),
    ]
    if checksum is not None:
        found += [tag(checksum.element, checksum.value), tag("ChecksumType", checksum.type)]
    answer = xml("CompleteMultipartUploadResult", *found)
    answer.headers |= {"x-amz-version-id": version.version_id} | encryption(version.headers)
    return answer


def abort(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    del bucket.uploads[bucket.upload(request.key, request.query["uploadId"]).upload_id]
    return Answer(204)


def list_parts(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    upload = bucket.upload(request.key, request.query["uploadId"])
    marker, most = request.query.get("part-number-marker", "0"), page_size(request.query.get("max-parts"))
    if not marker.isdecimal():
        raise S3Error("InvalidArgument", "Argument part-number-marker must be an integer")
    rest = [part for number, part in sorted(upload.parts.items()) if number > int(marker)]
    shown = rest[:most]
    found = [
        tag("Bucket", bucket.name),
        tag("Key", request.key),
        tag("UploadId", upload.upload_id),
        tag("StorageClass", "STANDARD"),
        tag("PartNumberMarker", marker),
        tag("NextPartNumberMarker", shown[-1].number if shown else marker),
        tag("MaxParts", most),
        tag("IsTruncated", "true" if len(rest) > most > 0 else "false"),
    ]
    if upload.algorithm:
        found += [tag("ChecksumAlgorithm", upload.algorithm.upper()), tag("ChecksumType", upload.checksum_type or "")]
    return xml("ListPartsResult", *found, *map(_part, shown))


def list_uploads(storage: Storage, bucket: Bucket, request: Request) -> Answer:
    """Uploads under way, by key and by when they began."""
    query = request.query
    prefix, most = query.get("prefix", ""), page_size(query.get("max-uploads"))
    after_key, after_id = query.get("key-marker", ""), query.get("upload-id-marker", "")
    under_way = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.initiated, upload.upload_id))
    if after_id:
        ids = [upload.upload_id for upload in under_way]
        if after_id not in ids:
            raise S3Error("InvalidArgument", "Invalid uploadId marker")
        under_way = under_way[ids.index(after_id) + 1 :]
    elif after_key:
        under_way = [upload for upload in under_way if upload.key > after_key]
    rest = [upload for upload in under_way if upload.key.startswith(prefix)]
    truncated = len(rest) > most > 0
    found = [
        tag("Bucket", bucket.name),
        tag("KeyMarker", after_key),
        tag("UploadIdMarker", after_id),
        tag("Prefix", prefix),
        tag("MaxUploads", most),
        tag("IsTruncated", "true" if truncated else "false"),
    ]
    if truncated:
        found += [tag("NextKeyMarker", rest[most - 1].key), tag("NextUploadIdMarker", rest[most - 1].upload_id)]
    for upload in rest[:most]:
        said = [tag("Key", upload.key), tag("UploadId", upload.upload_id), tag("Initiated", iso_date(upload.initiated))]
        found.append(group("Upload", *said, tag("StorageClass", "STANDARD")))
    return xml("ListMultipartUploadsResult", *found)


def _asked(bucket: Bucket, request: Request) -> tuple[Upload, int]:
    number = request.query["partNumber"]
    if not number.isdecimal() or not 1 <= int(number) <= PART_LIMIT:
        raise S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return bucket.upload(request.key, request.query["uploadId"]), int(number)


def _range(content: Content, asked: str | None) -> Content:
    """The range that a part is copied from, which has to name both ends and lie within the source."""
    if asked is None:
        return content
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if not asked.startswith("bytes=") or not (first.isdecimal() and last.isdecimal()) or int(first) > int(last):
        raise S3Error("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last")
    if int(last) >= content.size:
        message = f"Range specified is not valid for source object of size: {content.size}"
        raise S3Error("InvalidArgument", message)
    return content.part(int(first), int(last) + 1)


def _listed(upload: Upload, request: Request, min_part: int) -> list[Part]:
    """The parts that the request lists, each of them checked."""
    elements = parsed(request.body, "CompleteMultipartUpload").findall("Part")
    if not elements:
        raise S3Error("MalformedXML")
    parts = [_listed_part(upload, element) for element in elements]
    numbers = [part.number for part in parts]
    if any(one >= other for one, other in pairwise(numbers)):
        raise S3Error("InvalidPartOrder")
    for part in parts[:-1]:
        if part.content.size < min_part:
            detail = {"ProposedSize": str(part.content.size), "MinSizeAllowed": str(min_part)}
            raise S3Error("EntityTooSmall", detail=detail | {"PartNumber": str(part.number), "ETag": part.etag})
    return parts


def _listed_part(upload: Upload, element: Element) -> Part:
    number = element.findtext("PartNumber", "")
    if not number.isdecimal():
        raise S3Error("MalformedXML")
    part = upload.parts.get(int(number))
    if part is None or element.findtext("ETag", "").strip('"') != part.etag:
        raise S3Error("InvalidPart", detail={"UploadId": upload.upload_id, "PartNumber": number})
    if part.checksum is None:
        return part
    said = element.findtext(part.checksum.element)
    if said is None and upload.checksum_type == COMPOSITE:
        message = (
            f"The upload was created using a {upload.algorithm} checksum. The complete request must include the "
            f"checksum for each part. It was missing for part {number} in the request."
        )
        raise S3Error("InvalidRequest", message)
    if said is not None and said != part.checksum.value:
        raise S3Error("InvalidPart", detail={"UploadId": upload.upload_id, "PartNumber": number})
    return part


def _whole(upload: Upload, parts: list[Part], content: Content, said: Checksum | None) -> Checksum | None:
    """The checksum of the whole upload, after comparing it with what the request says it is."""
    if upload.algorithm is None:
        return said
    if upload.checksum_type == COMPOSITE:
        found = composite([part.checksum for part in parts if part.checksum is not None])
    elif upload.algorithm in VERIFIED:
        found = compute(upload.algorithm, content)
    else:
        return said
    if said is not None and said.value.partition("-")[0] != found.value.partition("-")[0]:
        raise S3Error("BadDigest")
    return found


def _part(part: Part) -> str:
    checksum = tag(part.checksum.element, part.checksum.value) if part.checksum else ""
    said = f"<PartNumber>{part.number}</PartNumber><LastModified>{iso_date(part.modified)}</LastModified>"
    said += f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.content.size}</Size>"
    return f"<Part>{said}{checksum}</Part>"
