"""AWS Signature Version 4 as S3 has it: paths are encoded once, never normalized; the payload's hash is a header.

Source: S3 API reference, "Authenticating requests: using the Authorization header (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from botocore.credentials import ReadOnlyCredentials

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def encode_path(path: str) -> str:
    """The path of a URL, each byte but the unreserved ones and slashes as ``%XX``."""
    return quote(path, safe="/~")


def encode_query(parameters: Mapping[str, str]) -> str:
    """The query of a URL in canonical form: what is sent is what is signed."""
    if not parameters:
        return ""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


class Signer:
    """Signs requests to S3 in one region. Thread-safe: what is remembered is replaced as a whole."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._moment: tuple[int, str] = (-1, "")
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        payload: str,
        credentials: ReadOnlyCredentials,
        now: float,
    ) -> str:
        """Complete ``headers`` (names in lower case) and return them as lines of a request's head.

        ``path`` and ``query`` are encoded, ``payload`` is the body's SHA-256 in hex, or ``UNSIGNED-PAYLOAD``; ``now``
        is in seconds since the epoch.
        """
        stamp = self._stamp(now)
        headers["x-amz-date"] = stamp
        headers["x-amz-content-sha256"] = payload
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = sorted(headers)
        lines = "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in names])
        if lines.count("\n") != len(names):
            raise ValueError("a header has a line break in it")
        signed = ";".join(names)
        request = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}"
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key(stamp[:8], credentials.secret_key or ""), text.encode(), "sha256").hex()
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return f"{lines}authorization:{authorization}\n".replace("\n", "\r\n")

    def _stamp(self, now: float) -> str:
        second, stamp = self._moment
        if second != int(now):
            second = int(now)
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._moment = second, stamp
        return stamp

    def _key(self, day: str, secret: str) -> bytes:
        known_day, known_secret, key = self._derived
        if known_day != day or known_secret != secret:
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = day, secret, key
        return key
