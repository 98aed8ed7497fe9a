"""Mends: signing with asymmetric KMS keys.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
``MessageType`` DIGEST is hashed once more  signed and verified as the digest that it is; one of another length is a
                                            ValidationException
a wrong signature verifies as false         KMSInvalidSignatureException
a disabled key signs and verifies           DisabledException; one that waits for its deletion, KMSInvalidStateException
GetPublicKey names the key by its id, and   by its ARN; KeySpec
its spec by the old name only
another account's key is not found          found by its ARN, or by its alias's; whether the caller may use it is IAM's
==========================================  ===========================================================================
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.kms.responses import KmsResponse

from mlops_kit.local.overlay import guard

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "ECDSA_SHA_256": hashes.SHA256(),
    "ECDSA_SHA_384": hashes.SHA384(),
    "ECDSA_SHA_512": hashes.SHA512(),
}
"""Digests that are signed as they are; those for RSA keys go to moto, which hashes them once more."""


def install() -> None:
    sign = guard.original(KmsResponse, "sign", "self")
    verify = guard.original(KmsResponse, "verify", "self")
    public_key = guard.original(KmsResponse, "get_public_key", "self")

    def signed(self: Any) -> str:
        key = _usable(self)
        if (algorithm := _digest(self)) is None:
            return str(sign(self))
        signature = key.private_key.private_key.sign(self._get_param("Message"), ec.ECDSA(Prehashed(algorithm)))
        return _answer(self, key, Signature=base64.b64encode(signature).decode())

    def verified(self: Any) -> str:
        key = _usable(self)
        if (algorithm := _digest(self)) is None:
            answer = str(verify(self))
            if not json.loads(answer)["SignatureValid"]:
                raise JsonRESTError("KMSInvalidSignatureException", "")
            return answer
        public = key.private_key.private_key.public_key()
        signature = base64.b64decode(self._get_param("Signature"))
        try:
            public.verify(signature, self._get_param("Message"), ec.ECDSA(Prehashed(algorithm)))
        except InvalidSignature as exc:
            raise JsonRESTError("KMSInvalidSignatureException", "") from exc
        return _answer(self, key, SignatureValid=True)

    def described(self: Any) -> str:
        answer = json.loads(public_key(self))
        key = self.kms_backend.keys[answer["KeyId"]]
        return json.dumps({**answer, "KeyId": key.arn, "KeySpec": key.key_spec})

    guard.replace(KmsResponse, "sign", _where_the_key_is(signed))
    guard.replace(KmsResponse, "verify", _where_the_key_is(verified))
    guard.replace(KmsResponse, "get_public_key", _where_the_key_is(described))


def _where_the_key_is(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    """The operation in the key's account, where an ARN names one; a key's region is the request's."""

    def wrapped(self: Any) -> str:
        key = str(self._get_param("KeyId"))
        if key.startswith("arn:") and key.split(":")[3] == self.region:
            self.current_account = key.split(":")[4]
        return operation(self)

    return wrapped


def _usable(response: Any) -> Any:
    key_id = response._get_param("KeyId")
    response._validate_key_id(key_id)
    key = response.kms_backend.describe_key(key_id)
    guard.require_attributes(key, "key_state", "private_key", "key_spec")
    if key.key_state == "Disabled":
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is {key.key_state}.")
    return key


def _digest(response: Any) -> hashes.HashAlgorithm | None:
    """The hash whose digest the request brings; None if it brings the message itself."""
    algorithm = _HASHES.get(str(response._get_param("SigningAlgorithm")))
    if response._get_param("MessageType") != "DIGEST" or algorithm is None:
        return None
    if len(response._get_param("Message")) != algorithm.digest_size:
        raise JsonRESTError("ValidationException", "Digest is invalid length for the algorithm.")
    return algorithm


def _answer(response: Any, key: Any, **more: Any) -> str:
    return json.dumps({"KeyId": key.arn, "SigningAlgorithm": response._get_param("SigningAlgorithm"), **more})
