"""The key that model versions are signed with, where an environment has ``signing`` in its file.

Asymmetric, ECC_NIST_P256, to sign and verify only: what OpenSSF Model Signing takes. The private half never leaves KMS.
The environment's promoter signs; whoever promotes into it or into a later stage verifies. Verifying tells nobody
anything, and so the later stages' accounts are let in for that, each as its promoter alone.

KMS does not rotate asymmetric keys. Signatures have to stay valid as long as what they are on, so neither does the kit.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from stacks import policies
from stacks.bindings import Construct, KmsAlias, KmsKey
from stacks.encryption import THIS_KEY, administer, deletion_window
from stacks.policies import Statement, allow

SIGN = ("kms:Sign",)
VERIFY = ("kms:GetPublicKey", "kms:Verify")


class SigningKey(Construct):
    """The key and its alias; ``verifiers``: the later stages that trust its signatures."""

    def __init__(
        self, scope: Construct, id_: str, *, environment: Environment, verifiers: Sequence[Environment]
    ) -> None:
        super().__init__(scope, id_)
        names = environment.names
        key = KmsKey(
            self,
            "key",
            description=f"Signs model versions of {names.prefix}",
            customer_master_key_spec="ECC_NIST_P256",
            key_usage="SIGN_VERIFY",
            deletion_window_in_days=deletion_window(environment),
            policy=policies.document(*key_policy(environment, verifiers)),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
        )
        KmsAlias(self, "alias", name=names.signing_key_alias, target_key_id=key.key_id)
        self.arn: str = key.arn


def key_policy(environment: Environment, verifiers: Sequence[Environment]) -> list[Statement]:
    return [
        administer(environment),
        _for_promoter("PromoterSigns", (*SIGN, *VERIFY), environment),
        *(_for_promoter(f"PromoterOf{policies.sid(later.name)}Verifies", VERIFY, later) for later in verifiers),
    ]


def _for_promoter(sid: str, actions: Sequence[str], of: Environment) -> Statement:
    principal, condition = policies.promoter_of(of)
    return allow(sid, actions, THIS_KEY, principal=principal, conditions=condition)
