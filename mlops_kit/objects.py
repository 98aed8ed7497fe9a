"""Hashed, verified, conditional transfer: the one place that moves bytes to, from and between buckets.

Everything immutable is written create-only (``If-None-Match: *``) with a SHA-256 that S3 itself checks, so that a write
either happened completely, or not at all, or was there before; and every write names the account that must own the
bucket. Digests are hex everywhere in the kit; S3's API wants base64.

Sources: S3 user guide, "Conditional writes", "Checking object integrity", "Bucket owner condition".
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MAX_SINGLE_BYTES = 5 * 1024**3
"""What one PutObject or CopyObject takes at most."""

_CHUNK = 1 << 20
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_REFUSED = {"AccessDenied", "403"}
_EXISTS = {"PreconditionFailed", "412"}


def canonical_json(value: Any) -> bytes:
    """One text per value: sorted keys, no spaces, UTF-8. What digests of JSON are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_bytes(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _b64(hex_digest: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_digest)).decode()


def _hex(b64_digest: str) -> str:
    return base64.b64decode(b64_digest).hex()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What HEAD says. ``sha256`` is None for an object that was not written with a full SHA-256."""

    key: str
    size: int
    etag: str
    version: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Store:
    """One bucket as one client sees it; ``owner`` is the account that must own it."""

    s3: S3Client
    bucket: str
    owner: str

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size and digest, or None if there is none. Any other failure is raised, not "absent"."""
        try:
            found = self.s3.head_object(
                Bucket=self.bucket, Key=key, ChecksumMode="ENABLED", ExpectedBucketOwner=self.owner
            )
        except ClientError as exc:
            if self._is_absent(key, exc):
                return None
            raise
        checksum = found.get("ChecksumSHA256", "")
        whole = checksum and "-" not in checksum  # a composite checksum is a digest of digests
        return ObjectInfo(
            key, found["ContentLength"], found["ETag"], found.get("VersionId"), _hex(checksum) if whole else None
        )

    def get(self, key: str) -> bytes | None:
        """A small object's bytes, or None if there is none."""
        found = self.get_with_etag(key)
        return None if found is None else found[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner)
        except ClientError as exc:
            if self._is_absent(key, exc):
                return None
            raise
        return answer["Body"].read(), answer["ETag"]

    def _is_absent(self, key: str, refusal: ClientError) -> bool:
        """Whether an object could not be read because there is none.

        To a caller that may list only a part of the bucket, S3 refuses what is not there just as it refuses what must
        not be read. Listing tells the two apart, and is refused where the caller may not know.
        """
        code = refusal.response["Error"]["Code"]
        if code in _ABSENT:
            return True
        if code not in _REFUSED:
            return False
        try:
            return next(self.keys(key), None) != key
        except ClientError:
            return False

    def put_new(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write ``body`` unless the key is taken; True if it was written by this call."""
        return self._put_new(key, body, sha256_bytes(body), content_type)

    def put_new_file(self, key: str, path: Path, sha256: str) -> bool:
        """Write a file unless the key is taken.

        ``sha256`` is the digest the caller expects; S3 refuses the bytes if the file changed since it was hashed.
        """
        size = path.stat().st_size
        if size > MAX_SINGLE_BYTES:
            raise UsageError(f"{path} has {size} bytes; files over {MAX_SINGLE_BYTES} bytes are not supported yet.")
        with path.open("rb") as body:
            return self._put_new(key, body, sha256, "application/octet-stream")

    def _put_new(self, key: str, body: Any, sha256: str, content_type: str) -> bool:
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=_b64(sha256),
                IfNoneMatch="*",
                ExpectedBucketOwner=self.owner,
            )
        except ClientError as exc:
            code = exc.response["Error"]["Code"]
            if code in _EXISTS:
                return False
            if code in {"BadDigest", "InvalidRequest", "XAmzContentSHA256Mismatch"} and hasattr(body, "name"):
                raise IntegrityError(
                    f"{body.name} changed while it was being read.", hint="Nothing was stored of it. Run it again."
                ) from exc
            raise
        return True

    def replace(self, key: str, body: bytes, etag: str | None) -> None:
        """Compare and set: write only if the key still has ``etag`` (None: still does not exist).

        Raises:
            ConflictError: somebody else wrote in between.
        """
        condition: dict[str, str] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                ChecksumSHA256=_b64(sha256_bytes(body)),
                ExpectedBucketOwner=self.owner,
                **condition,  # type: ignore[arg-type]
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _EXISTS | {"ConditionalRequestConflict", *_ABSENT}:
                raise ConflictError(
                    f"{self.uri(key)} was changed by somebody else at the same time.", hint="Run the command again."
                ) from exc
            raise

    def download(self, key: str, path: Path, sha256: str | None = None) -> str:
        """Write the object to ``path``, whole or not at all; returns its digest.

        Raises:
            NotFoundError: there is no such object.
            IntegrityError: its bytes do not have the digest ``sha256``.
        """
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner)["Body"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _ABSENT:
                raise NotFoundError(f"There is no object {self.uri(key)}.") from exc
            raise
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.part")
        digest = hashlib.sha256()
        try:
            with unfinished.open("wb") as file:
                for chunk in body.iter_chunks(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            _check(self.uri(key), digest.hexdigest(), sha256)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return digest.hexdigest()

    def copy_new(self, key: str, source: Store, source_key: str, sha256: str) -> bool:
        """Copy server-side from ``source`` unless the key is taken; True if it was copied by this call.

        The source is pinned to the version that was looked at, S3 computes the copy's SHA-256, and the digest must be
        ``sha256`` whether the object is new or was there before.

        Raises:
            NotFoundError: there is no such source.
            IntegrityError: the bytes do not have the digest ``sha256``; a copy that was just made is
                removed, as far as the role may.
        """
        found = source.head(source_key)
        if found is None:
            raise NotFoundError(f"There is no object {source.uri(source_key)}.")
        if found.size > MAX_SINGLE_BYTES:
            raise UsageError(f"{source.uri(source_key)} is over {MAX_SINGLE_BYTES} bytes: not supported yet.")
        if found.sha256 is not None:
            _check(source.uri(source_key), found.sha256, sha256)
        pinned: dict[str, str] = {"Bucket": source.bucket, "Key": source_key}
        if found.version:
            pinned["VersionId"] = found.version
        try:
            answer = self.s3.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource=pinned,  # type: ignore[arg-type]
                CopySourceIfMatch=found.etag,
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ExpectedBucketOwner=self.owner,
                ExpectedSourceBucketOwner=source.owner,
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _EXISTS:
                raise
            self.verify(key, sha256)
            return False
        copied = _hex(answer["CopyObjectResult"]["ChecksumSHA256"])
        if copied != sha256:
            # Roles may lack the permission to delete; the integrity failure is what has to be heard either way.
            with contextlib.suppress(ClientError):
                self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=answer["VersionId"])
            _check(source.uri(source_key), copied, sha256)
        return True

    def verify(self, key: str, sha256: str) -> None:
        """The object is there and has this digest; re-reads it only if S3 does not know its digest."""
        found = self.head(key)
        if found is None:
            raise IntegrityError(f"{self.uri(key)} is missing.")
        digest = found.sha256
        if digest is None:
            running = hashlib.sha256()
            body = self.s3.get_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner)["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                running.update(chunk)
            digest = running.hexdigest()
        _check(self.uri(key), digest, sha256)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below ``prefix``, in S3's order (UTF-8 bytes)."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, ExpectedBucketOwner=self.owner
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"]


def _check(what: str, found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise IntegrityError(
            f"{what} has SHA-256 {found}, expected {expected}.",
            hint="The bytes are not the ones that were recorded. Do not use them; find out who wrote them.",
        )
