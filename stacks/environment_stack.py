"""One environment as one Terraform stack: the order below is the order in which things need each other."""

from __future__ import annotations

from pathlib import Path

from mlops_kit.config import Environment, Project
from stacks.access import Promoter
from stacks.bindings import Construct, LocalBackend, S3Backend, TerraformOutput, TerraformStack
from stacks.cost import MonthlyBudget
from stacks.dashboard import Dashboard
from stacks.data_lake import DataLake
from stacks.encryption import EncryptionKey
from stacks.monitoring import AlarmTopic, ModelAlarms
from stacks.registry import ModelRegistry
from stacks.serving import Endpoint, ServingRole
from stacks.terraform_settings import STATE_KEY, configure
from stacks.training import Training


class EnvironmentStack(TerraformStack):
    """Everything of one environment.

    ``local``: for the local cloud, with the state in a file: in the directory ``local_state``, or beside the stack.
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
        self._terraform(environment, local=local, local_state=local_state)
        models = project.models_in(environment)
        readers = project.targets_of(environment)
        source = project.environment(environment.promotes_from) if environment.promotes_from else None

        key_arn = EncryptionKey(self, "encryption", environment=environment, readers=readers).arn
        lake = DataLake(self, "lake", environment=environment, key_arn=key_arn, readers=readers)
        ModelRegistry(self, "registry", environment=environment, models=models, readers=readers)
        training = Training(self, "training", environment=environment, models=models, key_arn=key_arn)
        serving = ServingRole(self, "serving", environment=environment, models=models, key_arn=key_arn)
        promoter = Promoter(self, "promoter", environment=environment, source=source, key_arn=key_arn)
        topic = AlarmTopic(self, "alarms", environment=environment, key_arn=key_arn)
        endpoints = {}
        for model in models:
            scope_of_model = Construct(self, model.name)
            alarms = ModelAlarms(scope_of_model, "alarms", environment=environment, model=model, topic_arn=topic.arn)
            endpoints[model.name] = Endpoint(
                scope_of_model,
                "serving",
                environment=environment,
                model=model,
                role=serving,
                lake=lake,
                key_arn=key_arn,
                rollback_alarms=alarms.rollback,
            )
        Dashboard(self, "dashboard", environment=environment, models=models)
        MonthlyBudget(self, "cost", environment=environment)

        TerraformOutput(self, "endpoints", value={name: endpoint.name for name, endpoint in endpoints.items()})
        TerraformOutput(self, "buckets", value={kind: bucket.id for kind, bucket in lake.buckets.items()})
        TerraformOutput(
            self,
            "roles",
            value={"promoter": promoter.role_arn, "training": training.role_arn, "serving": serving.role_arn},
        )

    def _terraform(self, environment: Environment, *, local: bool, local_state: Path | None) -> None:
        configure(self, environment, local=local)
        if local:
            path = STATE_KEY if local_state is None else str(local_state / f"{environment.name}.tfstate")
            LocalBackend(self, path=path)
            return
        S3Backend(self, bucket=environment.names.state_bucket, key=STATE_KEY, region=environment.region, encrypt=True)
        self.add_override("terraform.backend.s3.use_lockfile", True)  # younger than these bindings
