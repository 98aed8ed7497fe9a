"""What an account needs before its environment can be deployed: a place for the Terraform state, and CI's way in.

Deployed once by a person, as the stack ``<environment>-bootstrap``; ``docs/bootstrap.md`` has the order. Its own state
cannot lie in the bucket that it is about to make, so it is a file at the project's root.

**The state bucket is encrypted with SSE-S3**, unlike the environment's own buckets. Terraform's S3 backend with
``encrypt`` asks for SSE-S3 on every write, whatever the bucket's default is, so a default of SSE-KMS would not describe
what is stored. The environment's key cannot be used either: it is made by the stack whose state this is, and whoever
lost that key would lose, with the state, the means to bring it back. The state holds names, policies and settings, and
no secret; who reads it is decided by IAM and the bucket policy.

It keeps no access logs: the logs bucket is part of the environment, which comes later. CloudTrail data events can be
turned on for it from outside.
"""

from __future__ import annotations

from pathlib import Path

from mlops_kit.config import Environment, Project
from stacks.bindings import Construct, LocalBackend, TerraformOutput, TerraformStack
from stacks.boundary import Boundary
from stacks.deploy_role import DeployRole
from stacks.secure_bucket import Aging, SecureBucket
from stacks.terraform_settings import STATE_KEY, configure

STATE_VERSIONS_DAYS = 90
"""How long a replaced state can be brought back: long enough to notice, short enough not to pile up."""


class BootstrapStack(TerraformStack):
    """The state bucket, the permission boundary, and with ``ci`` in the environment file CI's way in.

    ``local``: for the local cloud, with the state in the directory ``local_state``, or beside the stack.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        project: Project,
        environment: Environment,
        local: bool,
        local_state: Path | None = None,
    ) -> None:
        super().__init__(scope, id_)
        configure(self, environment, local=local)
        names = environment.names
        if not local:
            path = str(project.root / f"bootstrap.{environment.name}.tfstate")
        else:
            path = STATE_KEY if local_state is None else str(local_state / f"{names.bootstrap_stack}.tfstate")
        LocalBackend(self, path=path)

        bucket = SecureBucket(
            self,
            "state",
            name=names.state_bucket,
            arn=names.state_bucket_arn,
            key=None,
            protect=True,  # in every environment: without its state, what was deployed is out of Terraform's reach
            statements=[],
            aging=Aging(expire_noncurrent=STATE_VERSIONS_DAYS),
            skip={
                "CKV_AWS_18": "The logs bucket is part of the environment, which comes later",
                "CKV_AWS_144": "The state describes what is in one region",
                "CKV_AWS_145": "Terraform's backend asks for SSE-S3 on every write",
            },
        )
        TerraformOutput(self, "state_bucket", value=bucket.id)
        Boundary(self, "boundary", environment=environment, signing=bool(project.signers(environment)))
        if environment.ci is not None:
            deploy = DeployRole(self, "deploy", environment=environment, ci=environment.ci)
            TerraformOutput(self, "deploy_role", value=deploy.role_arn)
