"""Mends: checksums of what is uploaded.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a wrong Content-MD5, SHA-256, SHA-1 or      BadDigest; nothing is stored
CRC-32 is accepted
a wrong payload hash is accepted            XAmzContentSHA256Mismatch
a checksum without its algorithm header is  kept, and returned by Head, Get, GetObjectAttributes
not kept
composite checksums lack "-N" in HeadObject added
a completed upload does not return its      returned, with its type
checksum
ListParts leaves out checksums              those of an upload with an algorithm are there, part by part
==========================================  ===========================================================================

CRC-32C and CRC-64/NVME are kept as sent and not verified: Python has neither, and no request of the kit or of Terraform
uses them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from moto.s3.responses import S3Response
from moto.s3.utils import compute_checksum

from mlops_kit.local.overlay import guard, s3_requests
from mlops_kit.local.overlay.s3_requests import S3Request

ALGORITHMS = ("SHA256", "SHA1", "CRC32", "CRC32C", "CRC64NVME")
VERIFIED = ("SHA256", "SHA1", "CRC32")
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"(?P<rest><Part>.*?<PartNumber>(?P<number>\d+)</PartNumber>.*?)</Part>", re.DOTALL)
_TRAILER = re.compile(rb"\r\nx-amz-checksum-(\w+):([A-Za-z0-9+/=]+)\r\n")


def install() -> None:
    guard.original(S3Response, "_get_checksum", "self", "response_headers")
    head = guard.original(S3Response, "head_object", "self", "bucket_name", "query", "key_name", "headers")
    complete = guard.original(
        S3Response, "_key_response_post", "self", "request", "body", "bucket_name", "query", "key_name"
    )

    list_parts = guard.original(S3Response, "list_parts", "self")

    def _get_checksum(self: Any, response_headers: dict[str, Any]) -> tuple[str, str | None]:
        algorithm, value = sent(self.headers, self.raw_body)
        if algorithm and value is None:
            value = compute_checksum(_content(self), algorithm=algorithm).decode()
        if algorithm and value is not None:
            response_headers[f"x-amz-checksum-{algorithm.lower()}"] = value
        return algorithm, value

    def head_object(self: Any, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
        status, answer, body = head(self, bucket_name, query, key_name, headers)
        wanted = headers.get("x-amz-checksum-mode") == "ENABLED"
        key = self.backend.get_object(bucket_name, key_name, version_id=query.get("versionId", [None])[0])
        if wanted and status == 200 and key is not None and key.checksum_algorithm and key.checksum_type:
            answer["x-amz-checksum-type"] = key.checksum_type
            if key.checksum_type == "COMPOSITE":
                name = f"x-amz-checksum-{key.checksum_algorithm.lower()}"
                answer[name] = f"{key.checksum_value}-{key.checksum_parts}"
        return status, answer, body

    def _key_response_post(self: Any, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        status, headers, text = complete(self, request, body, bucket_name, query, key_name)
        key = self.backend.get_object(bucket_name, key_name) if query.get("uploadId") and status == 200 else None
        if key is not None and key.checksum_algorithm and key.checksum_type:
            suffix = f"-{key.checksum_parts}" if key.checksum_type == "COMPOSITE" else ""
            name = f"Checksum{key.checksum_algorithm}"
            found = f"<{name}>{key.checksum_value}{suffix}</{name}><ChecksumType>{key.checksum_type}</ChecksumType>"
            text = text.replace("</CompleteMultipartUploadResult>", f"{found}</CompleteMultipartUploadResult>")
        return status, headers, text

    def list_parts_with_checksums(self: Any) -> Any:
        status, headers, body = list_parts(self)
        upload = self.backend.get_bucket(self.bucket_name).multiparts[self._get_param("uploadId")]
        algorithm = upload.metadata.get("x-amz-checksum-algorithm")
        if not algorithm:
            return status, headers, body

        def add(found: re.Match[str]) -> str:
            checksum = compute_checksum(upload.parts[int(found["number"])].value, algorithm=algorithm).decode()
            return f"{found['rest']}<Checksum{algorithm}>{checksum}</Checksum{algorithm}></Part>"

        text = body if isinstance(body, str) else body.decode()
        return status, headers, _PART.sub(add, text)

    guard.replace(S3Response, "_get_checksum", _get_checksum)
    guard.replace(S3Response, "list_parts", list_parts_with_checksums)
    guard.replace(S3Response, "head_object", head_object)
    guard.replace(S3Response, "_key_response_post", _key_response_post)
    s3_requests.register(check_digests)


def sent(headers: Any, raw_body: Any) -> tuple[str, str | None]:
    """The checksum algorithm of an upload and, if the client sent it (as header or trailer), its value."""
    for algorithm in ALGORITHMS:
        if value := headers.get(f"x-amz-checksum-{algorithm.lower()}"):
            return algorithm, str(value)
    if headers.get("x-amz-trailer") and (match := _TRAILER.search(_bytes(raw_body)[-512:])):
        return match[1].decode().upper(), match[2].decode()
    return str(headers.get("x-amz-sdk-checksum-algorithm") or "").upper(), None


def check_digests(request: S3Request) -> None:
    """Refuse content that is not what the client says it is."""
    if not request.writes_content or request.copy_source is not None:
        return
    body = _content(request.response)
    if md5 := request.headers.get("Content-MD5"):
        _check_md5(md5, body)
    algorithm, value = sent(request.headers, request.response.raw_body)
    if value is not None and algorithm in VERIFIED:
        try:
            expected = base64.b64decode(value, validate=True)
        except binascii.Error as exc:
            name = f"x-amz-checksum-{algorithm.lower()}"
            raise s3_requests.error("InvalidRequest", f"Value for {name} header is invalid.") from exc
        if expected != compute_checksum(body, algorithm=algorithm, encode_base64=False):
            raise s3_requests.error(
                "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )
    signed = request.headers.get("x-amz-content-sha256") or ""
    if _HEX_SHA256.fullmatch(signed) and signed != hashlib.sha256(body).hexdigest():
        raise s3_requests.error(
            "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
        )


def _check_md5(header: str, body: bytes) -> None:
    try:
        expected = base64.b64decode(header, validate=True)
    except binascii.Error:
        expected = b""
    if len(expected) != 16:
        raise s3_requests.error("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if expected != hashlib.md5(body, usedforsecurity=False).digest():
        raise s3_requests.error("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _content(response: Any) -> bytes:
    """The object's bytes, without the framing of a chunked upload."""
    return _bytes(response.body)


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return str(body or "").encode()
