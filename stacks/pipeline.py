"""The model's SageMaker pipeline: the team's definition, filled in for one environment.

The definition says what happens; where it happens is the environment's business, so it is laid over each step here:
subnets, isolation, the key of the volumes, spare capacity, tags. What a step says itself is left as it is, except for
the network, which no step may choose.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from mlops_kit.config import Environment, Model, Project, pipeline, pipeline_parameters
from mlops_kit.config.pipeline_parameters import Uploads
from mlops_kit.config.serving import LOCAL_STORAGE
from mlops_kit.config.source_archive import REGISTER_ENTRY, Packed, job_script, pack
from mlops_kit.errors import UsageError
from stacks import policies
from stacks.bindings import Construct, IamRole, IamRolePolicy, Resource, S3Object, SagemakerPipeline
from stacks.data_lake import DataLake
from stacks.network import Network
from stacks.policies import Statement, allow
from stacks.terraform_settings import cost_tags, model_tags
from stacks.training import Training, both, compute_limits, find_objects, inside, interfaces, training_limits

METRIC_NAMESPACE = "/aws/sagemaker/ProcessingJobs"
"""Steps that process run as the pipeline; those that train run as the training role."""
MAX_SOURCE_BYTES = 5_000_000
"""The archive travels in the plan, so it has to stay small: code, not data."""


class Pipeline(Construct):
    """Nothing without ``training.pipeline``. ``made``: whether there is one."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        project: Project,
        environment: Environment,
        model: Model,
        key_arn: str,
        lake: DataLake,
        network: Network,
        training: Training,
    ) -> None:
        super().__init__(scope, id_)
        self.made = False
        file = project.pipeline_file(model)
        if file is None:
            return
        self.made = True
        names = model.names(environment.names)
        definition = pipeline.load(file)
        uploads, uploaded = self._upload(project, environment, model, lake)
        role = IamRole(
            self,
            "role",
            name=names.role("pipeline"),
            description=f"Pipeline of {names.prefix}",
            permissions_boundary=environment.names.boundary_arn,
            assume_role_policy=policies.assumed_by_sagemaker(environment.names),
            tags=model_tags(model),
        )
        policy = IamRolePolicy(
            self,
            "policy",
            name="pipeline",
            role=role.id,
            policy=policies.document(
                *_storage(environment, model),
                *_steps(environment, model, pipeline.step_types(definition), network),
                *policies.use_key(environment.names, key_arn),
                *policies.pull_images(environment.names, [model.training.image, model.serving_image]),
                policies.write_logs([environment.names.processing_log_group], environment.names),
                policies.put_metrics(METRIC_NAMESPACE),
                *interfaces(environment.names, network),
            ),
        )
        SagemakerPipeline(
            self,
            "pipeline",
            pipeline_name=names.pipeline,
            pipeline_display_name=names.pipeline,
            pipeline_description=f"Retraining of {model.name} in {environment.name}",
            role_arn=role.arn,
            pipeline_definition=json.dumps(_deployed(definition, environment, model, uploads, network, key_arn)),
            tags=model_tags(model),
            depends_on=[policy, *uploaded],  # new code is there before, and old code goes after
        )

    def _upload(
        self, project: Project, environment: Environment, model: Model, lake: DataLake
    ) -> tuple[Uploads, list[Resource]]:
        """The team's code and the register step's, each under its digest.

        Terraform deletes what it replaces, with all versions. So they have a prefix of their own, and the code that a
        version was trained from is stored beside it by the register step.
        """
        names, bucket = model.names(environment.names), lake.buckets["artifacts"]
        source = Packed.of(pack(project.source_dir(model)))
        if len(source.body) > MAX_SOURCE_BYTES:
            raise UsageError(
                f"The code of {model.name}, {project.source_dir(model)}, is {len(source.body)} bytes as an archive; a "
                f"model with a pipeline may have {MAX_SOURCE_BYTES}.",
                hint="All of source_dir travels to the job. Put data into a data set, and weights into an image.",
            )
        entry = Packed.of(job_script(REGISTER_ENTRY))
        keys = {
            "source": (names.pipeline_source_key(source.sha256), source.body, "application/gzip"),
            "register-entry": (names.pipeline_entry_key(entry.sha256), entry.body, "text/x-python"),
        }
        uploaded = [
            S3Object(
                self,
                id_,
                bucket=bucket.id,
                key=key,
                content_base64=base64.b64encode(body).decode(),
                content_type=content_type,
                depends_on=[bucket.versioning, bucket.encryption, bucket.policy],  # stored as everything else there is
                lifecycle={"create_before_destroy": True},
                tags=model_tags(model),
            )
            for id_, (key, body, content_type) in keys.items()
        ]
        uris = {id_: f"s3://{environment.names.bucket('artifacts')}/{key}" for id_, (key, _, _) in keys.items()}
        return Uploads(uris["source"], source.sha256, uris["register-entry"]), uploaded


def _deployed(
    definition: dict[str, Any],
    environment: Environment,
    model: Model,
    uploads: Uploads,
    network: Network,
    key_arn: str,
) -> dict[str, Any]:
    """``definition`` with every parameter filled in and the environment laid over every step."""
    values = pipeline_parameters.values(environment, model, uploads)
    deployed: dict[str, Any] = _literal(definition)
    for parameter in deployed.get("Parameters", []):
        if "DefaultValue" not in parameter and parameter["Name"] in values:
            parameter["DefaultValue"] = _literal(values[parameter["Name"]])
    tags = [{"Key": key, "Value": value} for key, value in (cost_tags(environment) | model_tags(model)).items()]
    for step in pipeline.all_steps(deployed):
        arguments = step["Arguments"]
        if step["Type"] in ("Training", "Processing", "Transform"):
            arguments.setdefault("Tags", tags)
        if step["Type"] == "Training":
            _place_training(arguments, model, network, key_arn)
        elif step["Type"] == "Processing":
            placed = {name: value for name, value in arguments.get("NetworkConfig", {}).items() if name != "VpcConfig"}
            placed |= {"VpcConfig": _vpc_config(network)} if network.vpc_config else {}
            arguments["NetworkConfig"] = {"EnableNetworkIsolation": False, **placed}
            _encrypt_volume(arguments["ProcessingResources"]["ClusterConfig"], model, key_arn)
        elif step["Type"] == "Model":
            arguments.pop("VpcConfig", None)
            arguments |= {"VpcConfig": _vpc_config(network)} if network.vpc_config else {}
    return deployed


def _place_training(arguments: dict[str, Any], model: Model, network: Network, key_arn: str) -> None:
    arguments.pop("VpcConfig", None)
    if network.vpc_config:
        arguments["VpcConfig"] = _vpc_config(network)
    arguments["EnableNetworkIsolation"] = network.isolated
    if model.training.spot:
        arguments.setdefault("EnableManagedSpotTraining", True)
        wait = (model.training.wait_minutes or 0) * 60
        arguments.setdefault("StoppingCondition", {}).setdefault("MaxWaitTimeInSeconds", wait)
    _encrypt_volume(arguments.get("ResourceConfig", {}), model, key_arn)


def _encrypt_volume(resources: dict[str, Any], model: Model, key_arn: str) -> None:
    """Instances with disks of their own encrypt them themselves, and SageMaker refuses a key for them."""
    given = resources.get("InstanceType", model.training.instance_type)
    name = given if isinstance(given, str) else model.training.instance_type
    if not LOCAL_STORAGE.fullmatch(name.split(".")[1]):
        resources.setdefault("VolumeKmsKeyId", key_arn)


def _vpc_config(network: Network) -> dict[str, Any]:
    return {"Subnets": network.subnet_ids, "SecurityGroupIds": network.security_group_ids}


def _literal(value: Any) -> Any:
    """A copy in which Terraform reads no template into what somebody wrote."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {_literal(key): _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return value


def _storage(environment: Environment, model: Model) -> list[Statement]:
    names, own = environment.names, model.names(environment.names)
    artifacts, lake = names.bucket_arn("artifacts"), names.bucket_arn("lake")
    data, training, models = f"datasets/{model.dataset}/", f"training/{model.name}/", f"models/{model.name}/"
    return [
        allow(
            "ReadModel",
            ["s3:GetObject", "s3:GetObjectVersion"],
            [f"{lake}/{data}*", f"{artifacts}/{training}*", f"{artifacts}/{models}*"],
        ),
        *find_objects("Data", lake, [data]),
        *find_objects("Model", artifacts, [training, models]),
        allow("WriteSteps", policies.WRITE_OBJECTS, f"{artifacts}/{own.training_output_prefix}/*"),
        allow(  # create only: neither an artifact nor the code it came from is ever replaced
            "StoreArtifact",
            ["s3:PutObject"],
            [f"{artifacts}/{models}*", f"{artifacts}/{own.training_source_prefix}*"],
            conditions={"Null": {"s3:if-none-match": "false"}},
        ),
    ]


def _steps(environment: Environment, model: Model, types: set[str], network: Network) -> list[Statement]:
    """What the steps do, and no more than the definition has steps for.

    Jobs of a pipeline are called ``pipelines-<execution>-<step>-…``, which says nothing about the pipeline; what holds
    them is the roles that may be passed, and the limits.
    """
    names, own = environment.names, model.names(environment.names)

    def arns(kind: str) -> list[str]:
        return [names.arn("sagemaker", f"{kind}/{start}-*") for start in ("pipelines", own.prefix)]

    def jobs(kind: str) -> Statement:
        actions = ["sagemaker:AddTags", f"sagemaker:Describe{kind}Job", f"sagemaker:Stop{kind}Job"]
        return allow(f"Follow{kind}Jobs", actions, arns(f"{kind.lower()}-job"))

    limits = model.training.allowed
    step_types = {*limits.instance_types, pipeline_parameters.STEP_INSTANCE_TYPE}
    step_seconds = max(limits.max_runtime_minutes * 60, pipeline_parameters.STEP_RUNTIME_SECONDS)
    created = {
        "Training": both(training_limits([model]), inside(network, isolated=True)),
        "Processing": both(compute_limits(step_types, step_seconds), inside(network)),
        "Transform": {  # AWS has no other condition for them
            key: value for key, value in compute_limits(step_types, 0).items() if key != "NumericLessThanEquals"
        },
    }
    statements = []
    for kind, conditions in created.items():
        if kind in types:
            resources = arns(f"{kind.lower()}-job") + (arns("model") if kind == "Transform" else [])
            statements += [
                allow(f"Start{kind}Jobs", [f"sagemaker:Create{kind}Job"], resources, conditions=conditions),
                jobs(kind),
            ]
    if "Model" in types:
        statements.append(
            allow(
                "MakeModels", ["sagemaker:AddTags", "sagemaker:CreateModel", "sagemaker:DescribeModel"], arns("model")
            )
        )
    return [
        *statements,
        allow(
            "RegisterVersions",
            ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
            [own.package_group_arn, own.package_arn("*")],
        ),
        allow(
            "PassRoles",
            ["iam:PassRole"],
            [own.role_arn(kind) for kind in ("training", "pipeline", "serving")]
            if "Model" in types
            else [own.role_arn("training"), own.role_arn("pipeline")],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ]
