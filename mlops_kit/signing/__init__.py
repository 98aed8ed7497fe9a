"""Signatures of model artifacts: OpenSSF Model Signing (OMS), made with an asymmetric KMS key.

:mod:`bundle` is the format, without AWS; :mod:`keys` says which keys there are and asks KMS; :mod:`sign` stores a
signature beside the artifact, create-only, so that a promotion brings it along; :mod:`verify` is what the gate asks.

The bundle is written here and not with the package ``model-signing``: that one has no public way to sign with a key
that never leaves KMS, and brings three dozen packages. What is written here, it verifies (``docs/signing.md``).
"""

from mlops_kit.signing.keys import SigningKey, key_of, trusted
from mlops_kit.signing.sign import Signed, sign
from mlops_kit.signing.verify import SignatureCheck, verify_signature

__all__ = ["SignatureCheck", "Signed", "SigningKey", "key_of", "sign", "trusted", "verify_signature"]
