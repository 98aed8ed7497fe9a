"""KMS with asymmetric keys in memory: real ECDSA, and the answers of the three operations that signing uses."""

from __future__ import annotations

import hashlib
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mlops_kit.signing import SigningKey

PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


def arn(number: int) -> str:
    return f"arn:aws:kms:us-east-1:111111111111:key/{number}"


class Kms:
    """Keys by ARN. ``refusals``: operation -> the code that it is refused with."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.refusals: dict[str, str] = {}
        self.calls: list[str] = []

    def new(self, curve: ec.EllipticCurve | None = None) -> SigningKey:
        name = arn(len(self.keys) + 1)
        self.keys[name] = ec.generate_private_key(curve or ec.SECP256R1())
        return SigningKey(self, name)

    def _asked(self, operation: str) -> None:
        self.calls.append(operation)
        if code := self.refusals.get(operation):
            raise ClientError({"Error": {"Code": code, "Message": "m"}}, operation)

    def get_public_key(self, *, KeyId: str) -> Any:  # noqa: N803
        self._asked("GetPublicKey")
        key = self.keys[KeyId]
        spec = "ECC_NIST_P256" if key.curve.name == "secp256r1" else "ECC_NIST_P384"
        return {
            "KeyId": KeyId,
            "KeySpec": spec,
            "SigningAlgorithms": ["ECDSA_SHA_256" if spec == "ECC_NIST_P256" else "ECDSA_SHA_384"],
            "PublicKey": key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        }

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> Any:  # noqa: N803
        self._asked("Sign")
        assert (MessageType, SigningAlgorithm, len(Message)) == ("DIGEST", "ECDSA_SHA_256", 32)
        return {"KeyId": KeyId, "Signature": self.keys[KeyId].sign(Message, PREHASHED)}

    def verify(
        self,
        *,
        KeyId: str,  # noqa: N803
        Message: bytes,  # noqa: N803
        MessageType: str,  # noqa: N803
        Signature: bytes,  # noqa: N803
        SigningAlgorithm: str,  # noqa: N803
    ) -> Any:
        self._asked("Verify")
        assert (MessageType, SigningAlgorithm) == ("DIGEST", "ECDSA_SHA_256")
        try:
            self.keys[KeyId].public_key().verify(Signature, Message, PREHASHED)
        except InvalidSignature as exc:
            error: Any = {"Error": {"Code": "KMSInvalidSignatureException", "Message": ""}}
            raise ClientError(error, "Verify") from exc
        return {"KeyId": KeyId, "SignatureValid": True}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
