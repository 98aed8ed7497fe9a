"""KMS: keys that sign, with real cryptography, so that what is signed here can be verified anywhere.

Keys are ECDSA P-256, or RSA with PSS or PKCS #1 v1.5. Another account uses one by its ARN.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.aws.protocol import Asked, AwsError, JsonService
from tests.s3.model import new_id

ECDSA = "ECDSA_SHA_256"
RSA = ("RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_256")
EC_SPEC, RSA_SPEC = "ECC_NIST_P256", "RSA_2048"


@dataclass
class Key:
    """``private`` is shared by copies of a key: it never changes."""

    id: str
    arn: str
    private: Any
    enabled: bool = True

    def __deepcopy__(self, memo: object) -> Key:
        return Key(self.id, self.arn, self.private, self.enabled)

    @property
    def spec(self) -> str:
        return EC_SPEC if isinstance(self.private, ec.EllipticCurvePrivateKey) else RSA_SPEC

    @property
    def algorithms(self) -> list[str]:
        return [ECDSA] if self.spec == EC_SPEC else list(RSA)


@dataclass
class Keys:
    """What one account has."""

    keys: dict[str, Key] = field(default_factory=dict)  # by id
    aliases: dict[str, str] = field(default_factory=dict)  # with ``alias/``, to id


class Kms(JsonService):
    name = "kms"
    target = "TrentService"
    subject = ("KeyId",)

    def __init__(self, region: str) -> None:
        self.region = region
        self.state: dict[str, Keys] = {}
        self.operations = {
            "DescribeKey": self._describe,
            "GetPublicKey": self._public_key,
            "Sign": self._sign,
            "Verify": self._verify,
        }

    def of(self, account: str) -> Keys:
        return self.state.setdefault(account, Keys())

    def add_key(self, account: str, alias: str = "", spec: str = EC_SPEC) -> Key:
        """A new key; ``alias`` begins with ``alias/``."""
        private: Any
        if spec == EC_SPEC:
            private = ec.generate_private_key(ec.SECP256R1())
        else:
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        id_ = new_id()
        key = Key(id_, f"arn:aws:kms:{self.region}:{account}:key/{id_}", private)
        there = self.of(account)
        there.keys[id_] = key
        if alias:
            there.aliases[alias] = id_
        return key

    def _describe(self, account: str, asked: Asked) -> Asked:
        key = self._key(account, asked["KeyId"])
        return {
            "KeyMetadata": {
                "KeyId": key.id,
                "Arn": key.arn,
                "Enabled": key.enabled,
                "KeyState": "Enabled" if key.enabled else "Disabled",
                "KeyUsage": "SIGN_VERIFY",
                "KeySpec": key.spec,
                "SigningAlgorithms": key.algorithms,
            }
        }

    def _public_key(self, account: str, asked: Asked) -> Asked:
        key = self._key(account, asked["KeyId"])
        public = key.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "KeyId": key.arn,
            "PublicKey": base64.b64encode(public).decode(),
            "KeySpec": key.spec,
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": key.algorithms,
        }

    def _sign(self, account: str, asked: Asked) -> Asked:
        key, algorithm = self._usable(account, asked)
        message, digest = _message(asked)
        if algorithm == ECDSA:
            signature = key.private.sign(message, ec.ECDSA(digest))
        else:
            signature = key.private.sign(message, _padding(algorithm), digest)
        encoded = base64.b64encode(signature).decode()
        return {"KeyId": key.arn, "Signature": encoded, "SigningAlgorithm": algorithm}

    def _verify(self, account: str, asked: Asked) -> Asked:
        key, algorithm = self._usable(account, asked)
        message, digest = _message(asked)
        signature, public = base64.b64decode(asked["Signature"]), key.private.public_key()
        try:
            if algorithm == ECDSA:
                public.verify(signature, message, ec.ECDSA(digest))
            else:
                public.verify(signature, message, _padding(algorithm), digest)
        except InvalidSignature as exc:
            raise AwsError("KMSInvalidSignatureException", "") from exc
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}

    def _usable(self, account: str, asked: Asked) -> tuple[Key, str]:
        key, algorithm = self._key(account, asked["KeyId"]), asked["SigningAlgorithm"]
        if not key.enabled:
            raise AwsError("DisabledException", f"{key.arn} is disabled.")
        if algorithm not in key.algorithms:
            message = f"Algorithm {algorithm} is incompatible with key spec {key.spec}."
            raise AwsError("InvalidKeyUsageException", message)
        return key, algorithm

    def _key(self, account: str, name: str) -> Key:
        """By id, alias, or the ARN of either."""
        owner, _, short = name.rpartition(":")
        there = self.of(owner.split(":")[4] if owner else account)
        short = short if short.startswith("alias/") else short.removeprefix("key/")
        found = there.keys.get(there.aliases.get(short, short))
        if found is None:
            raise AwsError("NotFoundException", f"Key '{name}' does not exist")
        return found


def _message(asked: Asked) -> tuple[bytes, Any]:
    message = base64.b64decode(asked["Message"])
    if asked.get("MessageType", "RAW") == "DIGEST":
        if len(message) != hashes.SHA256.digest_size:
            raise AwsError("ValidationException", "Digest is invalid length for algorithm.")
        return message, Prehashed(hashes.SHA256())
    if len(message) > 4096:
        raise AwsError("ValidationException", "A message of type RAW has at most 4096 bytes.")
    return message, hashes.SHA256()


def _padding(algorithm: str) -> Any:
    if algorithm.startswith("RSASSA_PSS"):
        return padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
    return padding.PKCS1v15()
