"""Signing with KMS on the local cloud: digests, wrong signatures, other accounts' keys, keys that must not be used."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mlops_kit.signing import SigningKey
from tests.local_cloud.support import DEV, STAGING, Server, unique

MESSAGE = b"what is signed"
DIGEST = hashlib.sha256(MESSAGE).digest()


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def kms(server: Server) -> Any:
    return server.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    return str(made["Arn"])


def ask(kms: Any, operation: str, key: str, message: bytes = DIGEST, kind: str = "DIGEST", **more: Any) -> Any:
    arguments = {"KeyId": key, "Message": message, "MessageType": kind, "SigningAlgorithm": "ECDSA_SHA_256", **more}
    return getattr(kms, operation)(**arguments)


def test_a_digest_is_signed_as_the_digest(kms: Any, key: str) -> None:
    signature = ask(kms, "sign", key)["Signature"]
    public: Any = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    public.verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert ask(kms, "verify", key, Signature=signature)["SignatureValid"] is True
    assert ask(kms, "verify", key, MESSAGE, "RAW", Signature=signature)["SignatureValid"] is True


def test_what_was_not_signed_is_refused(kms: Any, key: str) -> None:
    signature = ask(kms, "sign", key)["Signature"]
    other = hashlib.sha256(b"other").digest()
    for message, kind in ((other, "DIGEST"), (b"other", "RAW")):
        with pytest.raises(ClientError) as refused:
            ask(kms, "verify", key, message, kind, Signature=signature)
        assert code(refused) == "KMSInvalidSignatureException"


def test_a_digest_has_its_length(kms: Any, key: str) -> None:
    with pytest.raises(ClientError) as refused:
        ask(kms, "sign", key, DIGEST[:-1])
    assert code(refused) == "ValidationException"


def test_the_public_key_says_whose_it_is(kms: Any, key: str) -> None:
    found = kms.get_public_key(KeyId=key.rsplit("/", 1)[1])
    assert (found["KeyId"], found["KeySpec"]) == (key, "ECC_NIST_P256")


def test_disabled_and_deleted_keys_are_of_no_use(kms: Any, key: str) -> None:
    signature, id_ = ask(kms, "sign", key)["Signature"], key.rsplit("/", 1)[1]
    kms.disable_key(KeyId=id_)
    for operation, more in (("sign", {}), ("verify", {"Signature": signature})):
        with pytest.raises(ClientError) as refused:
            ask(kms, operation, key, **more)
        assert code(refused) == "DisabledException"
    kms.enable_key(KeyId=id_)
    kms.schedule_key_deletion(KeyId=id_, PendingWindowInDays=7)
    with pytest.raises(ClientError) as refused:
        ask(kms, "verify", key, Signature=signature)
    assert code(refused) == "KMSInvalidStateException"


def test_another_account_uses_a_key_by_its_alias(server: Server, kms: Any, key: str) -> None:
    alias = f"alias/{unique()}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    name = f"arn:aws:kms:us-east-1:{DEV}:{alias}"
    signature = SigningKey(kms, name).sign(MESSAGE)
    theirs = SigningKey(server.client("kms", STAGING), name)
    assert theirs.public.arn == key
    assert theirs.verifies(MESSAGE, signature)
    assert not theirs.verifies(b"other", signature)
