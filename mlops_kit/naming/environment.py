"""Names that an environment has once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlops_kit.naming.kinds import (
    NETWORK_KEY,
    BucketKind,
    EnvironmentAlarmKind,
    PersonRole,
    ReplicaKind,
    ServiceRole,
)

if TYPE_CHECKING:
    from mlops_kit.naming.model import ModelNames


@dataclass(frozen=True, slots=True)
class EnvironmentNames:
    """Every name of one environment. Region and account only appear where AWS needs them to be unique."""

    project: str
    environment: str
    account: str
    region: str
    partition: str = "aws"

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.environment}"

    def bucket(self, kind: BucketKind) -> str:
        return f"{self.prefix}-{self.account}-{kind}"

    def bucket_arn(self, kind: BucketKind) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket(kind)}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource of this account; ``resource`` may be a pattern for a policy."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def in_region(self, region: str) -> EnvironmentNames:
        """The same names with another region in their ARNs: what the copies in the second region are called."""
        return replace(self, region=region)

    def iam_arn(self, resource: str) -> str:
        """ARN of something in IAM, which knows no region; ``resource`` may be a pattern for a policy."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    @property
    def training_log_group(self) -> str:
        """Where SageMaker writes the logs of every training job of an account."""
        return "/aws/sagemaker/TrainingJobs"

    @property
    def processing_log_group(self) -> str:
        """Where SageMaker writes the logs of every processing job of an account: the drift jobs."""
        return "/aws/sagemaker/ProcessingJobs"

    @property
    def transform_log_group(self) -> str:
        """Where SageMaker writes the logs of every transform job of an account."""
        return "/aws/sagemaker/TransformJobs"

    @property
    def flow_log_group(self) -> str:
        return f"/{self.prefix}/vpc-flow-logs"

    @property
    def retrain_log_group(self) -> str:
        """The prefix keeps the log group's own resource policy from growing without end (Step Functions' advice)."""
        return f"/aws/vendedlogs/states/{self.retrain_machine}"

    @property
    def off_hours_log_group(self) -> str:
        return f"/aws/vendedlogs/states/{self.off_hours_machine}"

    @property
    def endpoint_log_groups(self) -> str:
        """Pattern of the endpoints' log groups, for a policy."""
        return f"/aws/sagemaker/Endpoints/{self.prefix}-*"

    @property
    def state_bucket(self) -> str:
        """Holds the Terraform state; made by the bootstrap stack, before the first deployment."""
        return f"{self.prefix}-{self.account}-tfstate"

    @property
    def state_bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.state_bucket}"

    @property
    def bootstrap_stack(self) -> str:
        """What `cdktf deploy` calls the stack that prepares the account."""
        return f"{self.environment}-bootstrap"

    @property
    def deploy_role(self) -> str:
        """What CI deploys the environment as. No :data:`PersonRole`: the bootstrap stack makes it, before them."""
        return f"{self.prefix}-deploy"

    @property
    def deploy_role_arn(self) -> str:
        return self.iam_arn(f"role/{self.deploy_role}")

    def deploy_policy(self, part: str) -> str:
        return f"{self.deploy_role}-{part}"

    @property
    def key_alias(self) -> str:
        return f"alias/{self.prefix}"

    @property
    def signing_key_alias(self) -> str:
        """The key that versions are signed with, where the environment has one of its own."""
        return f"alias/{self.prefix}-signing"

    def role(self, kind: PersonRole | ServiceRole) -> str:
        return f"{self.prefix}-{kind}"

    def role_arn(self, kind: PersonRole | ServiceRole) -> str:
        return self.iam_arn(f"role/{self.role(kind)}")

    @property
    def boundary(self) -> str:
        """The permission boundary of every role of the environment; made by the bootstrap stack."""
        return f"{self.prefix}-boundary"

    @property
    def boundary_arn(self) -> str:
        return self.iam_arn(f"policy/{self.boundary}")

    @property
    def account_root(self) -> str:
        return self.iam_arn("root")

    @property
    def alarm_topic(self) -> str:
        return f"{self.prefix}-alarms"

    @property
    def pager_topic(self) -> str:
        """Where one message an incident goes: the composite alarms' topic."""
        return f"{self.prefix}-pages"

    def alarm(self, kind: EnvironmentAlarmKind) -> str:
        return f"{self.prefix}-{kind}"

    @property
    def network(self) -> str:
        """The VPC's Name tag, and the start of what belongs to it."""
        return f"{self.prefix}-network"

    @property
    def network_key(self) -> str:
        return NETWORK_KEY

    @property
    def dead_letter_queue(self) -> str:
        return f"{self.prefix}-dead-letters"

    @property
    def failures_log_group(self) -> str:
        """Where EventBridge writes the events of jobs that failed; it only writes below ``/aws/events/``."""
        return f"/aws/events/{self.prefix}-failures"

    @property
    def default_bus_arn(self) -> str:
        """The event bus that every account has, and that AWS services send their events to."""
        return self.arn("events", "event-bus/default")

    @property
    def forward_rule(self) -> str:
        """Hands drift alarms on to the stage that retrains."""
        return f"{self.prefix}-forward-drift"

    @property
    def retrain_machine(self) -> str:
        """The state machine that starts a model's pipeline unless it ran a short while ago."""
        return f"{self.prefix}-retrain"

    @property
    def off_hours_machine(self) -> str:
        return f"{self.prefix}-off-hours"

    @property
    def scheduled_job_start(self) -> str:
        """How the name of a scheduled job begins where the model's own prefix is too long for it."""
        return f"{self.project[:19]}-"

    @property
    def schedule_group(self) -> str:
        return self.prefix

    @property
    def anomaly_monitor(self) -> str:
        return f"{self.prefix}-spending"

    @property
    def anomaly_subscription(self) -> str:
        return f"{self.prefix}-anomalies"

    @property
    def replica_key_alias(self) -> str:
        """In the second region."""
        return f"alias/{self.prefix}-replica"

    def replica_bucket(self, kind: ReplicaKind) -> str:
        return f"{self.bucket(kind)}-replica"

    def replica_bucket_arn(self, kind: ReplicaKind) -> str:
        return f"arn:{self.partition}:s3:::{self.replica_bucket(kind)}"

    @property
    def approvals_prefix(self) -> str:
        """Where approvals lie in the ledger: no model can be called so, because names begin with a letter or digit."""
        return "_approvals/"

    @property
    def dashboard(self) -> str:
        return self.prefix

    @property
    def budget(self) -> str:
        return f"{self.prefix}-monthly"

    def model(self, model: str) -> ModelNames:
        # Imported here because each of the two modules needs the other.
        from mlops_kit.naming.model import ModelNames

        return ModelNames(self, model)
