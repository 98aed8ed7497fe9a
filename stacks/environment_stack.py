"""One environment as one Terraform stack: the order below is the order in which things need each other."""

from __future__ import annotations

from pathlib import Path

from mlops_kit.config import Environment, Model, Project
from stacks.alarm_topics import AlarmTopics
from stacks.automation import DeadLetters, ModelAutomation, Retraining
from stacks.bindings import Construct, LocalBackend, S3Backend, TerraformOutput, TerraformStack
from stacks.boundary import Boundary
from stacks.cost import ModelBudget, Spending
from stacks.dashboard import EnvironmentDashboard, ModelDashboard
from stacks.data_lake import DataLake
from stacks.drift_job import DriftJob
from stacks.encryption import EncryptionKey
from stacks.job_logs import JobLogs
from stacks.monitoring import ModelAlarms
from stacks.network import Network
from stacks.off_hours import OffHours
from stacks.people import People
from stacks.pipeline import Pipeline
from stacks.registry import ModelRegistry
from stacks.replication import Replication
from stacks.schedules import Schedules
from stacks.serving import Served, serve
from stacks.signing_key import SigningKey
from stacks.terraform_settings import STATE_KEY, configure, second_region
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
        self._project, self._environment = project, environment
        models = project.models_in(environment)
        readers = project.targets_of(environment)
        source = project.environment(environment.promotes_from) if environment.promotes_from else None

        if local:  # on AWS the bootstrap stack makes it, out of the reach of whoever deploys this one
            Boundary(self, "boundary", environment=environment, signing=bool(project.signers(environment)))
        self._key_arn = EncryptionKey(self, "encryption", environment=environment, readers=readers).arn
        self._lake = DataLake(self, "lake", environment=environment, key_arn=self._key_arn, readers=readers)
        if second := environment.storage.replicate_to:
            Replication(
                self,
                "replication",
                environment=environment,
                region=second,
                key_arn=self._key_arn,
                lake=self._lake,
                provider=second_region(self, environment, second, local=local),
            )
        self._network = Network(self, "network", environment=environment, key_arn=self._key_arn, lake=self._lake)
        ModelRegistry(
            self,
            "registry",
            environment=environment,
            models=models,
            readers=readers,
            source=source,
            key_arn=self._key_arn,
        )
        JobLogs(self, "job-logs", environment=environment, key_arn=self._key_arn)
        self._topics = AlarmTopics(self, "alarms", environment=environment, key_arn=self._key_arn)
        self._dead_letters = DeadLetters(
            self, "dead-letters", environment=environment, key_arn=self._key_arn, topics=self._topics
        )
        self._schedules = Schedules(
            self,
            "schedules",
            environment=environment,
            models=models,
            key_arn=self._key_arn,
            dead_letters=self._dead_letters,
        )
        self._retraining = Retraining(
            self,
            "retraining",
            project=project,
            environment=environment,
            models=models,
            key_arn=self._key_arn,
            dead_letters=self._dead_letters,
            topics=self._topics,
        )
        served = {model.name: self._model(model) for model in models}
        OffHours(
            self,
            "off-hours",
            environment=environment,
            models=models,
            served=served,
            key_arn=self._key_arn,
            schedules=self._schedules,
            dead_letters=self._dead_letters,
        )
        people = People(
            self,
            "access",
            environment=environment,
            models=models,
            source=source,
            key_arn=self._key_arn,
            network=self._network,
            signing_key=self._signing_key(),
            signers=[signer for signer in project.signers(environment) if signer != environment],
            readers=readers,
        )
        EnvironmentDashboard(self, "dashboard", environment=environment, models=models)
        Spending(self, "cost", environment=environment)

        TerraformOutput(self, "endpoints", value={name: one.endpoint for name, one in served.items() if one.endpoint})
        TerraformOutput(self, "buckets", value={kind: bucket.id for kind, bucket in self._lake.buckets.items()})
        TerraformOutput(self, "roles", value=people.role_arns)

    def _signing_key(self) -> str | None:
        """ARN of the key that versions are signed with here; None where they are not."""
        project, environment = self._project, self._environment
        if environment.signing is None:
            return None
        if environment.signing.key is not None:
            return environment.signing.key
        later = [stage for stage in project.stages if environment in project.signers(stage) and stage != environment]
        return SigningKey(self, "signing", environment=environment, verifiers=later).arn

    def _model(self, model: Model) -> Served:
        """Everything of one model, below a construct with its name."""
        scope, environment, key_arn = Construct(self, model.name), self._environment, self._key_arn
        training = Training(
            scope, "training", environment=environment, model=model, key_arn=key_arn, network=self._network
        )
        pipeline = Pipeline(
            scope,
            "pipeline",
            project=self._project,
            environment=environment,
            model=model,
            key_arn=key_arn,
            lake=self._lake,
            network=self._network,
            training=training,
        )
        alarms = ModelAlarms(scope, "alarms", environment=environment, model=model, topics=self._topics)
        served = serve(
            scope,
            "serving",
            environment=environment,
            model=model,
            lake=self._lake,
            key_arn=key_arn,
            network=self._network,
            rollback_alarms=alarms.rollback,
            schedules=self._schedules,
        )
        DriftJob(
            scope,
            "drift",
            environment=environment,
            model=model,
            lake=self._lake,
            key_arn=key_arn,
            network=self._network,
            schedules=self._schedules,
            dead_letters=self._dead_letters,
        )
        ModelAutomation(
            scope,
            "automation",
            environment=environment,
            model=model,
            pipeline=pipeline,
            retraining=self._retraining,
            schedules=self._schedules,
            dead_letters=self._dead_letters,
        )
        ModelDashboard(scope, "dashboard", environment=environment, model=model)
        ModelBudget(scope, "cost", environment=environment, model=model)
        return served

    def _terraform(self, environment: Environment, *, local: bool, local_state: Path | None) -> None:
        configure(self, environment, local=local)
        if local:
            path = STATE_KEY if local_state is None else str(local_state / f"{environment.name}.tfstate")
            LocalBackend(self, path=path)
            return
        S3Backend(self, bucket=environment.names.state_bucket, key=STATE_KEY, region=environment.region, encrypt=True)
        self.add_override("terraform.backend.s3.use_lockfile", True)  # younger than this CDKTF
