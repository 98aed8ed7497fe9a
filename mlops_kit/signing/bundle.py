"""The format: a Sigstore bundle around a DSSE envelope around an in-toto statement about one artifact.

Sources: OpenSSF Model Signing as ``sigstore/model-transparency`` 1.x writes it (predicate
``https://model_signing/signature/v1.0``); DSSE 1.0, ``protocol.md``, for what is signed (PAE); the Sigstore bundle,
media type ``v0.3``; in-toto attestation, Statement v1.

A model is one file here, so the statement lists one resource, which OMS calls ``.``. The subject's digest is not the
file's: it is the SHA-256 over the binary digests of all resources.

Reading is strict. A bundle comes out of a bucket, so it is a stranger's until its signature was verified, and what is
signed is only looked at after that.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from mlops_kit.errors import IntegrityError
from mlops_kit.objects.digests import canonical_json, sha256_bytes
from mlops_kit.objects.strict_json import read_json

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
THE_FILE: Final = "."
"""What OMS calls the resource of a model that is one file."""
MAX_BYTES: Final = 64 * 1024
"""A bundle of one resource has about a kilobyte; more is not read."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, taken apart and not verified yet. ``hint`` names the key: see :func:`key_hint`."""

    hint: str
    payload: bytes
    signature: bytes


def statement(model: str, sha256: str) -> bytes:
    """What is signed: the artifact with this digest is ``model``'s."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": model, "digest": {"sha256": _root(sha256)}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
                "resources": [{"name": THE_FILE, "algorithm": "sha256", "digest": sha256}],
            },
        }
    )


def _root(sha256: str) -> str:
    return sha256_bytes(bytes.fromhex(sha256))


def pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes whose signature it is."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def key_hint(pem: str) -> str:
    """How a bundle names its key: the SHA-256 of the public key in PEM, as ``model-signing`` has it."""
    return sha256_bytes(pem.encode())


def dump(bundle: Bundle) -> bytes:
    return canonical_json(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": bundle.hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(bundle.payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(bundle.signature).decode(), "keyid": ""}],
            },
        }
    )


def parse(body: bytes) -> Bundle:
    """Take a bundle apart.

    Raises:
        IntegrityError: it is no bundle of this format, or one without a single signature by a key.
    """
    found = _json(body, "the signature file")
    if found.get("mediaType") != MEDIA_TYPE:
        raise IntegrityError(f"its media type is {_shown(found.get('mediaType'))}, not {MEDIA_TYPE}")
    hint = _at(found, "verificationMaterial", "publicKey", "hint")
    envelope = _at(found, "dsseEnvelope")
    if not isinstance(hint, str) or not isinstance(envelope, dict):
        raise IntegrityError("it names no public key, or has no envelope")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise IntegrityError(f"its payload is {_shown(envelope.get('payloadType'))}, not {PAYLOAD_TYPE}")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise IntegrityError("it does not have exactly one signature")
    return Bundle(hint, _base64(envelope.get("payload"), "payload"), _base64(signatures[0].get("sig"), "signature"))


def check_statement(payload: bytes, model: str, sha256: str) -> None:
    """Whether a payload, whose signature was verified, is about this artifact of this model and nothing else.

    Raises:
        IntegrityError: it is not.
    """
    found = _json(payload, "what was signed")
    for name, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if found.get(name) != expected:
            raise IntegrityError(f"what was signed has {name} {_shown(found.get(name))}, not {expected}")
    subjects, resources = found.get("subject"), _at(found, "predicate", "resources")
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise IntegrityError("what was signed does not have exactly one subject")
    if not isinstance(resources, list) or len(resources) != 1:
        count = len(resources) if isinstance(resources, list) else 0
        raise IntegrityError(f"what was signed lists {count} resources; an artifact is one file")
    method = (_at(found, "predicate", "serialization", "method"), _at(found, "predicate", "serialization", "hash_type"))
    if method != ("files", "sha256"):
        raise IntegrityError(f"what was signed was hashed as {_shown(method)}, not by files with sha256")
    if resources[0] != {"name": THE_FILE, "algorithm": "sha256", "digest": sha256}:
        digest = resources[0].get("digest") if isinstance(resources[0], dict) else resources[0]
        raise IntegrityError(f"it is the signature of another artifact, {_shown(digest)}, and not of {sha256[:12]}")
    if _at(subjects[0], "digest", "sha256") != _root(sha256):
        raise IntegrityError("what was signed contradicts itself: the subject's digest is not that of its resources")
    if _at(subjects[0], "name") != model:
        raise IntegrityError(f"it was signed as model {_shown(_at(subjects[0], 'name'))}, not as {model!r}")


def _json(body: bytes, what: str) -> dict[str, Any]:
    try:
        found = read_json(body, MAX_BYTES)
    except ValueError as exc:
        raise IntegrityError(f"{what} is not JSON: {type(exc).__name__}") from exc
    if not isinstance(found, dict):
        raise IntegrityError(f"{what} is not a JSON object")
    return found


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _base64(text: Any, what: str) -> bytes:
    if not isinstance(text, str):
        raise IntegrityError(f"it has no {what}")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise IntegrityError(f"its {what} is not base64") from exc


def _shown(value: Any) -> str:
    """A stranger's value in a message: short, and on one line."""
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."
