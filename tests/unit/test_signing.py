"""Signatures: what is signed, where it lies, and that nothing but the real one is taken for valid."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from botocore.exceptions import EndpointConnectionError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from mlops_kit.config import load_project
from mlops_kit.config.environment import Signing
from mlops_kit.errors import IntegrityError, UsageError
from mlops_kit.naming import EnvironmentNames, ModelNames
from mlops_kit.objects import Store, canonical_json
from mlops_kit.signing import SignatureCheck, bundle, keys, sign, verify_signature
from mlops_kit.signing.bundle import Bundle
from mlops_kit.signing.keys import SigningKey
from tests.keys import Kms, sha256
from tests.s3 import Fault, LoopbackS3

NAMES = EnvironmentNames("acme", "dev", "111111111111", "us-east-1").model("churn")
STAGING = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
ARTIFACT, OTHER = b"a model", b"another model"
SHA, OTHER_SHA = sha256(ARTIFACT), sha256(OTHER)
Tamper = Callable[[dict[str, Any]], None]


@pytest.fixture
def kms() -> Kms:
    return Kms()


@pytest.fixture
def key(kms: Kms) -> SigningKey:
    return kms.new()


@pytest.fixture
def store(lake: Store) -> Store:
    """With two artifacts; any bucket will do."""
    lake.put_new(NAMES.artifact_key(SHA), ARTIFACT)
    lake.put_new(NAMES.artifact_key(OTHER_SHA), OTHER)
    return lake


def made(key: SigningKey, payload: bytes) -> bytes:
    """A bundle whose signature is right, whatever the payload says."""
    return bundle.dump(Bundle(key.public.hint, payload, key.sign(bundle.pae(payload))))


def check(store: Store, body: bytes, *trusted: SigningKey, names: ModelNames = NAMES) -> SignatureCheck:
    store.put(names.signature_key(SHA), body)
    return verify_signature(store, names, SHA, trusted)


# --- signing


def test_a_signed_artifact_is_valid(store: Store, key: SigningKey) -> None:
    signed = sign(store, NAMES, SHA, key)
    assert signed.new
    assert signed.uri.endswith(f"models/churn/{SHA}/model.sig"), "below the artifact's prefix: promoted with it"
    found = verify_signature(store, NAMES, SHA, [key])
    assert (found.valid, found.signer) == (True, key.name)


def test_signing_again_changes_nothing(store: Store, key: SigningKey, kms: Kms, s3: LoopbackS3) -> None:
    sign(store, NAMES, SHA, key)
    before = store.get(NAMES.signature_key(SHA))
    kms.calls.clear()
    assert not sign(store, NAMES, SHA, key).new
    assert "Sign" not in kms.calls
    assert store.get(NAMES.signature_key(SHA)) == before
    assert len(s3.snapshot_versions(store.bucket)[NAMES.signature_key(SHA)]) == 1


def test_the_other_ones_signature_counts_when_two_sign_at_once(store: Store, key: SigningKey) -> None:
    class Slow(SigningKey):
        def sign(self, message: bytes) -> bytes:
            if store.head(NAMES.signature_key(SHA)) is None:
                store.put_new(NAMES.signature_key(SHA), made(key, bundle.statement("churn", SHA)))
            return super().sign(message)

    assert not sign(store, NAMES, SHA, Slow(key._kms, key.name)).new
    assert verify_signature(store, NAMES, SHA, [key]).valid


@pytest.mark.parametrize("digest", ["0" * 64, hashlib.sha256(b"gone").hexdigest()])
def test_what_is_not_there_is_not_signed(store: Store, key: SigningKey, kms: Kms, digest: str) -> None:
    with pytest.raises(IntegrityError):
        sign(store, NAMES, digest, key)
    assert "Sign" not in kms.calls


def test_an_artifact_with_other_bytes_is_not_signed(store: Store, key: SigningKey, kms: Kms) -> None:
    store.put(NAMES.artifact_key(SHA), OTHER)
    with pytest.raises(IntegrityError):
        sign(store, NAMES, SHA, key)
    assert "Sign" not in kms.calls


def test_what_lies_in_the_signatures_place_is_not_taken_for_one(store: Store, key: SigningKey) -> None:
    store.put_new(NAMES.signature_key(SHA), b"{}")
    with pytest.raises(IntegrityError, match="no valid signature"):
        sign(store, NAMES, SHA, key)


def test_keys_of_another_kind_are_refused(store: Store, kms: Kms) -> None:
    with pytest.raises(UsageError, match="ECC_NIST_P384"):
        sign(store, NAMES, SHA, kms.new(ec.SECP384R1()))


# --- the format


def test_the_format_is_that_of_openssf_model_signing(store: Store, key: SigningKey, kms: Kms) -> None:
    """Field by field as ``model_signing sign key`` 1.1 writes it for one file; its verifier reads no others."""
    sign(store, NAMES, SHA, key)
    found = json.loads(store.get(NAMES.signature_key(SHA)) or b"")
    public = kms.keys[key.name].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    payload = base64.b64decode(found["dsseEnvelope"].pop("payload"))
    signature = base64.b64decode(found["dsseEnvelope"]["signatures"][0].pop("sig"))
    assert found == {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": hashlib.sha256(pem).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": ""}]},
    }
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "churn", "digest": {"sha256": hashlib.sha256(bytes.fromhex(SHA)).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": ".", "algorithm": "sha256", "digest": SHA}],
        },
    }
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    public.verify(signature, signed, ec.ECDSA(hashes.SHA256()))


def test_pae_counts_bytes() -> None:
    assert bundle.pae("é".encode()) == b"DSSEv1 28 application/vnd.in-toto+json 2 \xc3\xa9"


def test_a_signature_of_model_signing_itself_is_read() -> None:
    """Made with ``model_signing sign key`` 1.1.1 of a file ``model.tar.gz``; only its name is not a model's."""
    recorded = json.loads((Path(__file__).parent / "model_signing" / "bundle.json").read_bytes())
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    pem = (Path(__file__).parent / "model_signing" / "public.pem").read_text()
    found = bundle.parse(json.dumps(recorded).encode())
    assert found.hint == bundle.key_hint(pem)
    public: Any = serialization.load_pem_public_key(pem.encode())
    public.verify(found.signature, bundle.pae(found.payload), ec.ECDSA(hashes.SHA256()))
    bundle.check_statement(found.payload, "model.tar.gz", digest)


# --- tampering: refused with a reason, and never by an exception


def test_a_missing_signature(store: Store, key: SigningKey) -> None:
    found = verify_signature(store, NAMES, SHA, [key])
    assert (found.valid, found.signer) == (False, "")
    assert "is not signed" in found.reason


@pytest.mark.parametrize("digest", ["", "x", "A" * 64, "0" * 63, "../" * 20, "é" * 64])
def test_a_version_without_a_digest(store: Store, key: SigningKey, digest: str) -> None:
    assert "which artifact" in verify_signature(store, NAMES, digest, [key]).reason


def test_nobody_is_trusted(store: Store, key: SigningKey) -> None:
    sign(store, NAMES, SHA, key)
    assert "no key is trusted" in verify_signature(store, NAMES, SHA, []).reason


def test_a_wrong_key(store: Store, key: SigningKey, kms: Kms) -> None:
    sign(store, NAMES, SHA, key)
    other = kms.new()
    found = verify_signature(store, NAMES, SHA, [other])
    assert not found.valid
    assert "not trusted" in found.reason
    assert other.name in found.reason
    assert verify_signature(store, NAMES, SHA, [other, key]).valid, "any one of the trusted keys is enough"


def test_a_wrong_key_under_the_right_ones_name(store: Store, key: SigningKey, kms: Kms) -> None:
    payload = bundle.statement("churn", SHA)
    forged = Bundle(key.public.hint, payload, kms.new().sign(bundle.pae(payload)))
    assert "did not sign" in check(store, bundle.dump(forged), key).reason


def test_another_artifacts_signature(store: Store, key: SigningKey) -> None:
    sign(store, NAMES, OTHER_SHA, key)
    found = check(store, store.get(NAMES.signature_key(OTHER_SHA)) or b"", key)
    assert not found.valid
    assert "another artifact" in found.reason


def test_another_models_signature(store: Store, key: SigningKey) -> None:
    found = check(store, made(key, bundle.statement("fraud", SHA)), key)
    assert "signed as model 'fraud'" in found.reason


def payload_edit(edit: Tamper) -> bytes:
    statement = json.loads(bundle.statement("churn", SHA))
    edit(statement)
    return canonical_json(statement)


def _one_more(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"].append({"name": "code.py", "algorithm": "sha256", "digest": OTHER_SHA})


STATEMENTS: dict[str, tuple[Tamper, str]] = {
    "extra resource": (_one_more, "lists 2 resources"),
    "no resource": (lambda s: s["predicate"]["resources"].clear(), "lists 0 resources"),
    "resource is text": (lambda s: s["predicate"].update(resources=["x"]), "another artifact"),
    "other digest": (lambda s: s["predicate"]["resources"][0].update(digest=OTHER_SHA), "another artifact"),
    "other algorithm": (lambda s: s["predicate"]["resources"][0].update(algorithm="md5"), "another artifact"),
    "other name": (lambda s: s["predicate"]["resources"][0].update(name="../x"), "another artifact"),
    "digest upper case": (lambda s: s["predicate"]["resources"][0].update(digest=SHA.upper()), "another artifact"),
    "other subject": (lambda s: s["subject"][0]["digest"].update(sha256=OTHER_SHA), "contradicts itself"),
    "no subject": (lambda s: s.update(subject=[]), "one subject"),
    "two subjects": (lambda s: s["subject"].append(s["subject"][0]), "one subject"),
    "subject is text": (lambda s: s.update(subject=["x"]), "contradicts itself"),
    "other type": (lambda s: s.update(_type="x"), "_type"),
    "old predicate": (lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"), "predicateType"),
    "predicate is null": (lambda s: s.update(predicate=None), "lists 0 resources"),
    "shards": (lambda s: s["predicate"]["serialization"].update(method="shards"), "hashed as"),
}


@pytest.mark.parametrize("edit", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_an_edited_payload(store: Store, key: SigningKey, edit: tuple[Tamper, str]) -> None:
    """With the old signature it is not what was signed; and signed anew by the right key, it says the wrong thing."""
    tamper, reason = edit
    payload = payload_edit(tamper)
    old = key.sign(bundle.pae(bundle.statement("churn", SHA)))
    assert "did not sign" in check(store, bundle.dump(Bundle(key.public.hint, payload, old)), key).reason
    found = check(store, made(key, payload), key)
    assert not found.valid
    assert reason in found.reason


PAYLOADS = [b"", b"null", b"[]", b"\xff", b"{", b'{"_type": NaN}', b'{"a": 1, "a": 1}', b"[" * 30_000]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_signed_payload_that_is_no_statement(store: Store, key: SigningKey, payload: bytes) -> None:
    found = check(store, made(key, payload), key)
    assert not found.valid
    assert "what was signed" in found.reason


def envelope(edit: Tamper) -> Tamper:
    return lambda whole: edit(whole["dsseEnvelope"])


BUNDLES: dict[str, Tamper] = {
    "other media type": lambda b: b.update(mediaType="application/json"),
    "no media type": lambda b: b.pop("mediaType"),
    "no material": lambda b: b.pop("verificationMaterial"),
    "a certificate": lambda b: b.update(verificationMaterial={"certificate": {"rawBytes": "AA=="}}),
    "no hint": lambda b: b["verificationMaterial"]["publicKey"].pop("hint"),
    "other hint": lambda b: b["verificationMaterial"]["publicKey"].update(hint="0" * 64),
    "hint is a list": lambda b: b["verificationMaterial"]["publicKey"].update(hint=[]),
    "no envelope": lambda b: b.pop("dsseEnvelope"),
    "envelope is a list": lambda b: b.update(dsseEnvelope=[]),
    "a message signature": lambda b: b.update(messageSignature=b.pop("dsseEnvelope")),
    "other payload type": envelope(lambda e: e.update(payloadType="text/plain")),
    "no payload": envelope(lambda e: e.pop("payload")),
    "payload is no base64": envelope(lambda e: e.update(payload="%%%")),
    "payload is cut": envelope(lambda e: e.update(payload=e["payload"][:-4])),
    "payload is a number": envelope(lambda e: e.update(payload=7)),
    "payload is not ascii": envelope(lambda e: e.update(payload="é")),
    "no signatures": envelope(lambda e: e.update(signatures=[])),
    "two signatures": envelope(lambda e: e["signatures"].append(e["signatures"][0])),
    "signatures is text": envelope(lambda e: e.update(signatures="x")),
    "signature is text": envelope(lambda e: e.update(signatures=["x"])),
    "signature is empty": envelope(lambda e: e["signatures"][0].update(sig="")),
    "signature is cut": envelope(lambda e: e["signatures"][0].update(sig=e["signatures"][0]["sig"][:-8])),
    "signature is zeros": envelope(lambda e: e["signatures"][0].update(sig="MAYCAQACAQA=")),
    "signature is null": envelope(lambda e: e["signatures"][0].update(sig=None)),
}


@pytest.mark.parametrize("tamper", BUNDLES.values(), ids=BUNDLES.keys())
def test_an_edited_bundle(store: Store, key: SigningKey, tamper: Tamper) -> None:
    whole = json.loads(made(key, bundle.statement("churn", SHA)))
    tamper(whole)
    found = check(store, json.dumps(whole).encode(), key)
    assert (found.valid, found.signer) == (False, "")
    assert found.reason


def test_every_cut_of_the_file(store: Store, key: SigningKey) -> None:
    whole = made(key, bundle.statement("churn", SHA))
    for length in range(0, len(whole), 37):
        found = check(store, whole[:length], key)
        assert not found.valid
        assert "not JSON" in found.reason


def test_every_changed_byte_of_payload_and_signature(store: Store, key: SigningKey) -> None:
    whole = bundle.parse(made(key, bundle.statement("churn", SHA)))
    changed = [replace(whole, payload=flipped(whole.payload, at)) for at in range(0, len(whole.payload), 11)]
    changed += [replace(whole, signature=flipped(whole.signature, at)) for at in range(len(whole.signature))]
    for one in changed:
        assert "did not sign" in check(store, bundle.dump(one), key).reason


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


def test_a_huge_file_is_not_read(store: Store, key: SigningKey, s3: LoopbackS3) -> None:
    store.put(NAMES.signature_key(SHA), b" " * (bundle.MAX_BYTES + 1))
    s3.calls.clear()
    assert "no signature is longer" in verify_signature(store, NAMES, SHA, [key]).reason
    assert "GetObject" not in [call.operation for call in s3.calls]


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
@pytest.mark.parametrize("kind", ["denied", "expired"])
def test_refusals_of_s3_are_reasons(
    store: Store, key: SigningKey, s3: LoopbackS3, operation: str, kind: Literal["denied", "expired"]
) -> None:
    sign(store, NAMES, SHA, key)
    s3.faults.append(Fault(kind, operation=operation, times=None))
    found = verify_signature(store, NAMES, SHA, [key])
    assert not found.valid
    assert f"could not be verified: {operation} was refused" in found.reason


def test_a_signature_that_arrives_damaged_is_refused(store: Store, key: SigningKey, s3: LoopbackS3) -> None:
    sign(store, NAMES, SHA, key)
    s3.faults.append(Fault("corrupt", operation="GetObject", times=None))
    assert not verify_signature(store, NAMES, SHA, [key]).valid


@pytest.mark.parametrize("operation", ["GetPublicKey", "Verify"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException", "NotFoundException"])
def test_refusals_of_kms_are_reasons(store: Store, kms: Kms, operation: str, code: str) -> None:
    key = kms.new()
    sign(store, NAMES, SHA, key)
    kms.refusals[operation] = code
    found = verify_signature(store, NAMES, SHA, [SigningKey(kms, key.name)])
    assert not found.valid
    assert code in found.reason


def test_kms_that_cannot_be_reached_is_a_reason(store: Store, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(store, NAMES, SHA, key)

    def gone(*_: object, **__: object) -> bool:
        raise EndpointConnectionError(endpoint_url="https://kms")

    monkeypatch.setattr(key, "verifies", gone)
    assert "could not be verified" in verify_signature(store, NAMES, SHA, [key]).reason


def test_a_trusted_key_that_is_gone_does_not_stand_in_the_way(store: Store, key: SigningKey) -> None:
    sign(store, NAMES, SHA, key)
    other = Kms()
    other.new()
    other.refusals["GetPublicKey"] = "NotFoundException"
    assert verify_signature(store, NAMES, SHA, [SigningKey(other, "arn:gone"), key]).valid


# --- promotion and trust


def test_a_promoted_signature_is_valid_there(store: Store, other_lake: Store, key: SigningKey) -> None:
    sign(store, NAMES, SHA, key)
    body = store.get(NAMES.signature_key(SHA)) or b""
    other_lake.copy_new(STAGING.signature_key(SHA), store, NAMES.signature_key(SHA), sha256(body))
    assert verify_signature(other_lake, STAGING, SHA, [key]).valid


class Cloud:
    def kms(self, region: str) -> str:
        return region


@pytest.fixture
def project(tmp_path: Path) -> Any:
    signing = {"dev": "signing: {}", "staging": "", "production": "signing: {key: %s}"}
    other = "arn:aws:kms:eu-west-1:999999999999:key/0a1b2c3d"
    for number, name in enumerate(signing, 1):
        text = [f"name: {name}", f'account: "{number * 111111111111}"', "region: us-east-1", "project: acme"]
        text += ["owner: o@example.com", "budget: {monthly_usd: 1}", signing[name].replace("%s", other)]
        if number > 1:
            text.append(f"promotes_from: {list(signing)[number - 2]}")
        path = tmp_path / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(text))
    return load_project(tmp_path)


def test_a_target_trusts_itself_and_what_comes_before(project: Any) -> None:
    def names(target: str) -> list[str]:
        found = keys.trusted(Cloud(), project, project.environment(target))  # type: ignore[arg-type]
        return [key.name for key in found]

    dev = "arn:aws:kms:us-east-1:111111111111:alias/acme-dev-signing"
    assert names("dev") == [dev]
    assert names("staging") == [dev]
    assert names("production") == ["arn:aws:kms:eu-west-1:999999999999:key/0a1b2c3d", dev]


def test_the_client_is_of_the_keys_region(project: Any) -> None:
    found = keys.key_of(Cloud(), project.environment("production"))  # type: ignore[arg-type]
    assert found._kms == "eu-west-1"  # type: ignore[comparison-overlap]


def test_an_environment_that_signs_nothing(project: Any) -> None:
    with pytest.raises(UsageError, match="not signed in staging"):
        keys.key_of(Cloud(), project.environment("staging"))  # type: ignore[arg-type]


def test_an_alias_is_no_key() -> None:
    with pytest.raises(ValidationError, match="the ARN of a KMS key"):
        Signing(key="alias/mine")
