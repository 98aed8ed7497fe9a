"""One bucket: what is read from it, written to it and copied into it.

Everything immutable is written create-only (``If-None-Match: *``) with a SHA-256 that S3 itself checks, so that a write
either happened completely, or not at all, or was there before; and every request names the account that must own the
bucket. Digests are hex everywhere in the kit; S3's API wants base64.

Sources: S3 user guide, "Conditional writes", "Checking object integrity", "Bucket owner condition".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from botocore.exceptions import ClientError

from mlops_kit.objects import checking, codes, copying, download, listing, removal, upload
from mlops_kit.objects.checking import check
from mlops_kit.objects.digests import sha256_bytes
from mlops_kit.objects.info import AWS_LIMITS, Limits, Listed, ObjectInfo, Version
from mlops_kit.wire import Answer, FileSlice, Sink, Wire
from mlops_kit.wire.transfer import OnBytes

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Store:
    """One bucket as one set of credentials sees it; ``owner`` is the account that must own it. Thread-safe."""

    wire: Wire
    bucket: str
    owner: str
    limits: Limits = AWS_LIMITS

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def request(
        self,
        operation: str,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        body: bytes | FileSlice = b"",
        sha256: str | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """One request to this bucket, which must belong to the owner; see :meth:`Wire.request`."""
        asked = {**headers, "x-amz-expected-bucket-owner": self.owner}
        return self.wire.request(
            operation, method, self.bucket, key, query=query, headers=asked, body=body, sha256=sha256, sink=sink
        )

    def head(self, key: str, version: str | None = None) -> ObjectInfo | None:
        """The object's size and digest, or None if there is none. Any other failure is raised, not "absent"."""
        query = {"versionId": version} if version else {}
        try:
            found = self.request("HeadObject", "HEAD", key, query=query, headers={"x-amz-checksum-mode": "ENABLED"})
        except ClientError as exc:
            if self.is_absent(key, exc, version):
                return None
            raise
        return ObjectInfo.of(key, found.headers)

    def get(self, key: str, version: str | None = None) -> bytes | None:
        """A small object's bytes, or None if there is none.

        Raises:
            IntegrityError: they are not what was written.
        """
        found = self._get(key, version)
        return None if found is None else found.body

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        found = self._get(key, None)
        return None if found is None else (found.body, found.headers.get("etag", ""))

    def _get(self, key: str, version: str | None) -> Answer | None:
        query = {"versionId": version} if version else {}
        try:
            answer = self.request("GetObject", "GET", key, query=query, headers={"x-amz-checksum-mode": "ENABLED"})
        except ClientError as exc:
            if self.is_absent(key, exc, version):
                return None
            raise
        if (written := ObjectInfo.of(key, answer.headers).sha256) is not None:
            check(self.uri(key), sha256_bytes(answer.body), written)
        return answer

    def is_absent(self, key: str, refusal: ClientError, version: str | None = None) -> bool:
        """Whether an object could not be read because there is none.

        To a caller that may list only a part of the bucket, S3 refuses what is not there just as it refuses what must
        not be read. Listing tells the two apart, and is refused where the caller may not know.
        """
        code = codes.of(refusal)
        if code in codes.ABSENT or (version is not None and code in codes.OTHER_VERSION):
            return True
        if code not in codes.REFUSED or version is not None:
            return False
        try:
            return not listing.holds(self, key)
        except ClientError:
            return False

    def put_new(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write ``body`` unless the key is taken; True if it was written by this call."""
        return upload.put_new(self, key, body, content_type)

    def put_new_file(
        self,
        key: str,
        path: Path,
        sha256: str,
        *,
        size: int | None = None,
        composite: str | None = None,
        on_bytes: OnBytes | None = None,
    ) -> bool:
        """Write a file unless the key is taken by the same bytes; True if it was written by this call.

        ``sha256`` is the digest the caller expects; S3 refuses the bytes if the file changed since it was hashed. With
        ``composite``, a file that is sent in parts need not be read once more to know that it is the same.

        Raises:
            IntegrityError: the file changed, or the key holds other bytes.
        """
        return upload.put_file(self, key, path, sha256, size=size, composite=composite, on_bytes=on_bytes)

    def refresh_file(
        self, key: str, path: Path, sha256: str, etag: str, *, size: int | None = None, composite: str | None = None
    ) -> None:
        """Write the bytes that are there once more, so that the object is young again.

        Raises:
            IntegrityError: the file changed, or the key holds other bytes by now.
        """
        upload.put_file(self, key, path, sha256, size=size, composite=composite, replaces=etag)

    def replace(self, key: str, body: bytes, etag: str | None) -> None:
        """Compare and set: write only if the key still has ``etag`` (None: still does not exist).

        Raises:
            ConflictError: somebody else wrote in between.
        """
        upload.replace(self, key, body, etag)

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Write ``body`` over whatever is there: for caches that nobody relies on."""
        upload.put(self, key, body, content_type)

    def download(
        self,
        key: str,
        path: Path,
        sha256: str | None = None,
        *,
        size: int | None = None,
        version: str | None = None,
        on_bytes: OnBytes | None = None,
    ) -> str:
        """Write the object to ``path``, whole or not at all; returns its digest.

        Raises:
            NotFoundError: there is no such object.
            IntegrityError: its bytes do not have the digest ``sha256``, or the size.
            MlopsKitError: the disk is full.
        """
        return download.download(self, key, path, sha256, size=size, version=version, on_bytes=on_bytes)

    def open(self, key: str, version: str | None = None) -> BinaryIO:
        """The object as a file to read and to seek in, fetched as it is read.

        Raises:
            NotFoundError: there is no such object.
        """
        return download.open_object(self, key, version)

    def copy_new(self, key: str, source: Store, source_key: str, sha256: str) -> bool:
        """Copy server-side from ``source`` unless the key is taken; True if it was copied by this call.

        The source is pinned to the version that was looked at, S3 computes the copy's SHA-256, and the digest must be
        ``sha256`` whether the object is new or was there before.

        Raises:
            NotFoundError: there is no such source.
            IntegrityError: the bytes do not have the digest ``sha256``; a copy that was just made is
                removed, as far as the role may.
        """
        return copying.copy_new(self, key, source, source_key, sha256)

    def copy_known(
        self,
        key: str,
        source: Store,
        source_key: str,
        *,
        sha256: str,
        size: int,
        composite: str | None = None,
        etag: str | None = None,
        version: str | None = None,
        replaces: str | None = None,
    ) -> bool:
        """As :meth:`copy_new`, with one request: for a source whose size and digest are on record.

        ``etag`` is the one that the source must have, and ``version`` which version of it is copied; ``replaces`` is
        the ETag that the target must have, whose bytes are the same: the copy makes it young again.
        """
        return copying.copy_known(
            self,
            key,
            source,
            source_key,
            sha256=sha256,
            size=size,
            composite=composite,
            etag=etag,
            version=version,
            replaces=replaces,
        )

    def copy_hash(
        self,
        key: str,
        source: Store,
        source_key: str,
        *,
        etag: str | None = None,
        version: str | None = None,
        size: int | None = None,
    ) -> tuple[str, ObjectInfo]:
        """Copy to ``key``, whatever is there, and have S3 hash it: the digest, and what is now at ``key``.

        ``etag`` and ``version`` are those that the source must have. With ``size``, known from a listing, it is one
        request; and if it is over what one request can copy, the copy is read to know its digest.

        Raises:
            NotFoundError: there is no such source.
            ConflictError: the source has another ETag by now.
        """
        return copying.copy_hash(self, key, source, source_key, etag=etag, version=version, size=size)

    def restore(self, key: str, version: str, seen_etag: str | None) -> None:
        """Make an old version the current one again, if the current one still has ``seen_etag`` (None: is absent).

        Raises:
            NotFoundError: there is no such version.
            ConflictError: somebody else wrote in between.
        """
        copying.restore(self, key, version, seen_etag)

    def verify(self, key: str, sha256: str, *, size: int | None = None, composite: str | None = None) -> None:
        """The object is there and has this digest; re-reads it only if S3 does not know its digest.

        Raises:
            IntegrityError: it is missing, or holds other bytes.
        """
        checking.verify(self, key, sha256, size=size, composite=composite)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below ``prefix``, in S3's order (UTF-8 bytes)."""
        return (item.key for item in listing.listing(self, prefix))

    def listing(self, prefix: str, *, after: str | None = None, until: str | None = None) -> Iterator[Listed]:
        """All objects below ``prefix`` in the order of their keys, ``after`` (without it) and ``until`` (with it)."""
        return listing.listing(self, prefix, after=after, until=until)

    def present(self, keys: Sequence[str]) -> dict[str, Listed]:
        """Which of these sorted keys exist, in about one request for a thousand of them."""
        return listing.present(self, keys)

    def versions(self, prefix: str) -> Iterator[Version]:
        """All versions and delete markers below ``prefix``: by key, the newest of each key first."""
        return listing.versions(self, prefix)

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete a version for good; without ``version``, put a delete marker on top. What is gone stays gone."""
        removal.delete(self, key, version)

    def delete_many(self, items: Iterable[tuple[str, str | None]]) -> None:
        """Delete keys or versions, a thousand in a request.

        Raises:
            ClientError: some could not be deleted; all were tried.
        """
        removal.delete_many(self, items)
