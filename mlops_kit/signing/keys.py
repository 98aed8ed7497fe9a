"""Signing keys: which environment has which, which ones a target trusts, and what KMS does with them.

The private key never leaves KMS. Verifying asks KMS as well: that needs no cryptography here, shows up in CloudTrail,
and a key that was disabled verifies nothing any more.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from mlops_kit.config import Environment, Project
from mlops_kit.errors import UsageError
from mlops_kit.objects import codes
from mlops_kit.signing.bundle import key_hint

if TYPE_CHECKING:
    from mlops_kit.aws import Cloud

ALGORITHM: Final = "ECDSA_SHA_256"
_NOT_BY_THIS_KEY: Final = "KMSInvalidSignatureException"


class Kms(Protocol):
    """What is asked of a KMS client."""

    def get_public_key(self, *, KeyId: str) -> Any: ...  # noqa: N803 - boto3's names
    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> Any: ...  # noqa: N803
    def verify(
        self,
        *,
        KeyId: str,  # noqa: N803
        Message: bytes,  # noqa: N803
        MessageType: str,  # noqa: N803
        Signature: bytes,  # noqa: N803
        SigningAlgorithm: str,  # noqa: N803
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """``arn``: the key's own, not its alias's."""

    arn: str
    pem: str

    @property
    def hint(self) -> str:
        return key_hint(self.pem)


class SigningKey:
    """One KMS key, named by its ARN or its alias's ARN; its public key is read once."""

    def __init__(self, kms: Kms, name: str) -> None:
        self._kms = kms
        self.name = name

    @cached_property
    def public(self) -> PublicKey:
        """Raises:
        UsageError: the key is of another kind.
        """
        found = self._kms.get_public_key(KeyId=self.name)
        if ALGORITHM not in found.get("SigningAlgorithms", ()) or found.get("KeySpec") != "ECC_NIST_P256":
            raise UsageError(
                f"{self.name} is a key of kind {found.get('KeySpec')}; model signing takes ECC_NIST_P256.",
                hint="Name another key under `signing.key`, or leave it out to have the stack make one.",
            )
        return PublicKey(str(found["KeyId"]), _pem(found["PublicKey"]))

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature of the SHA-256 of ``message``, DER-encoded."""
        digest = hashlib.sha256(message).digest()
        answer = self._kms.sign(KeyId=self.name, Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
        signature: bytes = answer["Signature"]
        return signature

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed ``message``."""
        try:
            answer = self._kms.verify(
                KeyId=self.name,
                Message=hashlib.sha256(message).digest(),
                MessageType="DIGEST",
                Signature=signature,
                SigningAlgorithm=ALGORITHM,
            )
        except ClientError as exc:
            if codes.of(exc) == _NOT_BY_THIS_KEY:
                return False
            raise
        return answer["SignatureValid"] is True


def _pem(der: bytes) -> str:
    """RFC 7468: the same text that OpenSSL writes, because its digest names the key."""
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def key_of(cloud: Cloud, environment: Environment) -> SigningKey:
    """The key that versions of ``environment`` are signed with, as ``cloud``'s role may use it.

    Raises:
        UsageError: the environment signs nothing.
    """
    if environment.signing is None:
        raise UsageError(
            f"Versions are not signed in {environment.name}: its environment file has no `signing`.",
            hint=f"Add `signing: {{}}` to environments/{environment.name}.yaml and deploy it.",
        )
    arn = environment.signing.key or environment.names.arn("kms", environment.names.signing_key_alias)
    return SigningKey(cloud.kms(arn.split(":")[3]), arn)


def trusted(cloud: Cloud, project: Project, target: Environment) -> Sequence[SigningKey]:
    """The keys whose signatures count in ``target``, as its role may use them; nothing is asked of KMS yet."""
    return tuple(key_of(cloud, environment) for environment in project.signers(target))
