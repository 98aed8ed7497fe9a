"""Verify an artifact's signature. Whatever is wrong is a reason, for a gate to show; nothing is an exception."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import MlopsKitError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, codes
from mlops_kit.signing import bundle
from mlops_kit.signing.keys import SigningKey


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """``signer``: ARN of the key, where its signature is valid. ``reason``: why it is, or is not, in a sentence."""

    valid: bool
    signer: str
    reason: str


def verify_signature(store: Store, names: ModelNames, sha256: str, keys: Sequence[SigningKey]) -> SignatureCheck:
    """Whether one of ``keys`` signed exactly the artifact with this digest as this model's.

    Reads the signature from ``store``, which may be another environment's bucket. That the artifact has its digest is
    somebody else's to verify.
    """
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        return _refused("the version does not say which artifact it is: its metadata has no artifact_sha256")
    if not keys:
        return _refused("no key is trusted here: no environment up to this one has `signing`")
    try:
        found = _read(store, names, sha256)
        if found is None:
            return _refused(f"the artifact {sha256[:12]} is not signed: {names.signature_key(sha256)} does not exist")
        return _verify(bundle.parse(found), names, sha256, keys)
    except MlopsKitError as exc:
        return _refused(exc.message)
    except ClientError as exc:
        # A role that may not look, a key that is disabled or gone: not the same as a wrong signature, and as little
        # of a valid one.
        return _refused(f"it could not be verified: {exc.operation_name} was refused ({codes.of(exc)})")
    except BotoCoreError as exc:
        return _refused(f"it could not be verified: {exc}")


def _read(store: Store, names: ModelNames, sha256: str) -> bytes | None:
    key = names.signature_key(sha256)
    info = store.head(key)
    if info is None:
        return None
    if info.size > bundle.MAX_BYTES:
        raise MlopsKitError(f"{key} has {info.size} bytes: no signature is longer than {bundle.MAX_BYTES}")
    return store.get(key)


def _verify(found: bundle.Bundle, names: ModelNames, sha256: str, keys: Sequence[SigningKey]) -> SignatureCheck:
    key, problem = _by_hint(keys, found.hint)
    if key is None:
        return _refused(problem)
    if not key.verifies(bundle.pae(found.payload), found.signature):
        return _refused(f"{key.public.arn} did not sign this: the signature or what it signs was changed")
    bundle.check_statement(found.payload, names.model, sha256)
    return SignatureCheck(True, key.public.arn, f"signed by {key.public.arn}")


def _by_hint(keys: Sequence[SigningKey], hint: str) -> tuple[SigningKey | None, str]:
    """The trusted key that the bundle names. One that cannot be read does not stand in the way of the others."""
    unread: list[str] = []
    for key in keys:
        try:
            if key.public.hint == hint:
                return key, ""
        except ClientError as exc:
            unread.append(f"{key.name} cannot be read ({codes.of(exc)})")
        except MlopsKitError as exc:
            unread.append(exc.message)
    trusted = ", ".join(key.name for key in keys)
    return None, "; ".join([f"it was signed by a key that is not trusted here; trusted: {trusted}", *unread])


def _refused(reason: str) -> SignatureCheck:
    return SignatureCheck(False, "", reason)
