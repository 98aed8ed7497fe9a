"""The role that CI deploys an environment as, and the GitHub OIDC provider that lets CI in without a stored secret.

**Who gets in.** Jobs of exactly one repository that run in exactly one GitHub environment. Both the subject and the
audience of the token are compared with StringEquals. Protect that GitHub environment (required reviewers, deployment
branches): whoever can run a job in it can deploy.

**What it may do.** What :mod:`stacks.deploy_permissions` lists, on names with the environment's prefix. Where AWS
invents the id, on what carries the environment's tags.

**What it may not do.** It deletes nothing that holds data: no bucket, object version, key, log group, queue, image
repository or package group. One prefix is the exception, ``training/<model>/pipeline/``: the stack's own uploads for
pipelines, which other code replaces. Changes beyond that, and `cdktf destroy`, are for a person. It changes neither
itself, nor the permission boundary, nor the OIDC provider, nor the state bucket, so a job cannot widen its own way in.

**IAM.** It makes roles only with the environment's permission boundary, and writes policies only of roles that have it
(:mod:`stacks.boundary`): whatever a changed stack grants, no role gets more than the boundary, and none can reach IAM.
It attaches no managed policy, makes no user, group or access key, and passes those roles only to the services that the
stacks use.

**Limits, said plainly.** Whoever can change the stacks and deploy them unseen can still give a role of this environment
everything that the boundary allows, and let anybody in by its trust policy: review, and the protection of the GitHub
environment, are what stop intent. Tag conditions on things whose names AWS invents keep other keys and networks safe
from mistakes only, because who may tag at creation could tag anything. The prefix also matches names of an environment
called ``<name>-…`` in the same account, which ``mlops_kit.config`` does not allow two environments to share.
"""

from __future__ import annotations

from mlops_kit.config import Ci, Environment
from stacks import deploy_permissions, policies
from stacks.bindings import Construct, IamOpenidConnectProvider, IamPolicy, IamRole, IamRolePolicyAttachment
from stacks.policies import allow

ISSUER = "token.actions.githubusercontent.com"


class DeployRole(Construct):
    """One role for one repository; made by the bootstrap stack."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, ci: Ci) -> None:
        super().__init__(scope, id_)
        names = environment.names
        audience = "sts.amazonaws.com.cn" if names.partition == "aws-cn" else "sts.amazonaws.com"
        # No thumbprints: for GitHub, AWS checks the certificate against its own authorities.
        provider = IamOpenidConnectProvider(self, "github", url=f"https://{ISSUER}", client_id_list=[audience])
        role = IamRole(
            self,
            "role",
            name=names.deploy_role,
            description=f"CI of {ci.repository} deploys {names.prefix}",
            assume_role_policy=policies.document(
                allow(
                    "OneRepositoryAndEnvironment",
                    ["sts:AssumeRoleWithWebIdentity"],
                    principal={"Federated": provider.arn},
                    conditions={
                        "StringEquals": {
                            f"{ISSUER}:aud": audience,
                            f"{ISSUER}:sub": f"repo:{ci.repository}:environment:{environment.name}",
                        }
                    },
                )
            ),
        )
        self.role_arn: str = role.arn
        for name, statements in deploy_permissions.documents(environment).items():
            policy = IamPolicy(self, name, name=names.deploy_policy(name), policy=policies.document(*statements))
            IamRolePolicyAttachment(self, f"{name}-attached", role=role.name, policy_arn=policy.arn)
