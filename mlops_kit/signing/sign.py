"""Sign an artifact: the signature lies beside it, is written once, and travels with it."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.errors import IntegrityError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.signing import bundle
from mlops_kit.signing.bundle import Bundle
from mlops_kit.signing.keys import SigningKey
from mlops_kit.signing.verify import verify_signature


@dataclass(frozen=True, slots=True)
class Signed:
    """``new``: it was signed by this call, and not before."""

    uri: str
    signer: str
    new: bool


def sign(artifacts: Store, names: ModelNames, sha256: str, key: SigningKey) -> Signed:
    """Sign the artifact with this digest, unless it is signed already.

    Raises:
        IntegrityError: the artifact is missing or has other bytes, or what lies in the signature's place is not one.
    """
    uri = artifacts.uri(names.signature_key(sha256))
    if artifacts.head(names.signature_key(sha256)) is not None:
        return Signed(uri, _signer(artifacts, names, sha256, key), new=False)
    artifacts.verify(names.artifact_key(sha256), sha256)
    payload = bundle.statement(names.model, sha256)
    made = Bundle(key.public.hint, payload, key.sign(bundle.pae(payload)))
    new = artifacts.put_new(names.signature_key(sha256), bundle.dump(made), bundle.MEDIA_TYPE)
    # Two who sign at once write different bytes, because ECDSA is random: either one's are as good.
    return Signed(uri, _signer(artifacts, names, sha256, key), new)


def _signer(artifacts: Store, names: ModelNames, sha256: str, key: SigningKey) -> str:
    check = verify_signature(artifacts, names, sha256, [key])
    if check.valid:
        return check.signer
    raise IntegrityError(
        f"{artifacts.uri(names.signature_key(sha256))} is no valid signature: {check.reason}",
        hint="Find out who put it there, delete that version of the object, and sign again.",
    )
