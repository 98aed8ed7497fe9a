"""The roles that people act in, and CI for them.

=================  =================================================================================================
role               may
=================  =================================================================================================
data-scientist     read data, models, logs and metrics, ask endpoints; in the first stage also import, commit, branch
                   and tag data, train, store what was trained (create-only), register versions
promoter           all of that in every stage; promote from the stage before, release, roll back, record it; collect
                   garbage of data sets; sign versions, where that is configured, and verify signatures
approver           read models and releases of its stage, see the versions of the stage before, and record approvals
auditor            read releases, approvals, settings, alarms and logs; no data and no models; write nothing
=================  =================================================================================================

Nobody can replace or delete a ledger event: promoter and approver may add to it, create-only and each below a prefix of
their own. A person's administrator is not a role of the kit; nor is CI's deploy role, which the bootstrap stack makes.

Resources are patterns on the environment's prefix, not lists of models: an account is one environment, so a list would
only grow towards IAM's limit of 10,240 characters without keeping anything out. What a training job may ask for is the
exception: the models' limits are in the policy.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import PersonRole
from stacks import permissions, policies, release_permissions
from stacks.bindings import Construct, IamRole, IamRolePolicy
from stacks.network import Network
from stacks.policies import Statement, allow

SESSION_SECONDS = 3600
"""An hour: commands refresh their credentials by themselves."""

Documents = dict[str, Sequence[Statement]]


class People(Construct):
    """``role_arns``: by kind. Each role trusts who is configured, and the account's principals that IAM allows to."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        models: Sequence[Model],
        source: Environment | None,
        key_arn: str,
        network: Network,
        signing_key: str | None,
        signers: Sequence[Environment],
        readers: Sequence[Environment],
    ) -> None:
        """``signing_key``: what versions are signed with here; ``signers``: earlier stages that sign; ``readers``: the
        stages that promote from here.
        """
        super().__init__(scope, id_)
        access = environment.access
        documents = _documents(environment, models, source, key_arn, network)
        documents["promoter"]["signing"] = release_permissions.signing(signing_key, signers)
        documents["promoter"]["gates"] = release_permissions.ask_for_gates(environment, source)
        self._observers = [policies.promoter_of(reader) for reader in readers if release_permissions.observes(reader)]
        trusted: dict[PersonRole, Sequence[str]] = {
            "promoter": environment.operators,
            "data-scientist": access.data_scientists,
            "approver": access.approvers,
            "auditor": access.auditors,
        }
        self.role_arns: dict[str, str] = {
            kind: self._role(environment, kind, principals, documents[kind]) for kind, principals in trusted.items()
        }

    def _role(self, environment: Environment, kind: PersonRole, principals: Sequence[str], documents: Documents) -> str:
        names = environment.names
        scope = Construct(self, kind)
        role = IamRole(
            scope,
            "role",
            name=names.role(kind),
            description=f"What a {kind.replace('-', ' ')} of {names.prefix} acts as",
            max_session_duration=SESSION_SECONDS,
            permissions_boundary=names.boundary_arn,
            skip={"CKV_AWS_61": "the account's own IAM decides who of it may come in; everybody else is named"},
            assume_role_policy=policies.document(
                allow("People", ["sts:AssumeRole"], principal={"AWS": sorted({names.account_root, *principals})}),
                # Gates of the next stages look at this one's alarms, which CloudWatch shows to nobody else's account.
                *(
                    allow(f"Gates{number}", ["sts:AssumeRole"], principal=principal, conditions=condition)
                    for number, (principal, condition) in enumerate(self._observers if kind == "auditor" else ())
                ),
            ),
        )
        for name, statements in documents.items():
            if statements:
                if kind == "promoter":
                    statements = policies.merged(statements)
                IamRolePolicy(scope, name, name=name, role=role.id, policy=policies.document(*statements))
        return role.arn


def _documents(
    environment: Environment, models: Sequence[Model], source: Environment | None, key_arn: str, network: Network
) -> dict[PersonRole, Documents]:
    names = environment.names
    look = [*permissions.see_models(names), *permissions.watch(names)]
    decrypt = permissions.decrypt(names, key_arn)
    experiment = [
        *permissions.write_data(names),
        permissions.store_trained(names),
        *permissions.train(names, models, network),
        *permissions.register(names),
        *policies.use_key(names, key_arn),
    ]
    return {
        "promoter": {
            "storage": [
                *permissions.read_data(names),
                *permissions.write_data(names, promotes=True),
                *release_permissions.hold_locks(names),
                release_permissions.record_releases(names),
                release_permissions.leave_approvals_alone(names),
                *policies.use_key(names, key_arn),
            ],
            "sagemaker": [
                *look,
                *permissions.train(names, models, network),
                *permissions.register(names, approves=True),
                *release_permissions.release(names, models, key_arn),
                permissions.publish(releases=True),
            ],
            "source": release_permissions.read_source(source.names) if source else [],
        },
        "data-scientist": {
            "storage": [*permissions.read_data(names), decrypt],
            "sagemaker": [*look, permissions.invoke(names), permissions.publish()],
            "experiments": experiment if source is None else [],
        },
        "approver": {
            "approve": [
                *permissions.read_models(names),
                *permissions.read_ledger(names),
                release_permissions.record_approvals(names),
                *look,
                decrypt,
                release_permissions.encrypt_records(names, key_arn),
            ],
            "source": release_permissions.see_source_versions(source.names) if source else [],
        },
        "auditor": {"audit": [*permissions.read_ledger(names), *look, decrypt]},
    }
