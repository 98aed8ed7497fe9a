"""What one request to SageMaker asks for: actions, resources and condition keys.

Follows "Actions, resources, and condition keys for Amazon SageMaker" in the Service Authorization Reference. Operations
are named so regularly (verb and kind of resource, whose name is a parameter) that the kinds are the table. What goes
with an operation is asked as well: ``iam:PassRole`` for a role that is passed, ``sagemaker:AddTags`` for tags at
creation, ``kms:CreateGrant`` for an encrypted volume.

Two resources are not documented to the letter and are what AWS's own examples of cross-account policies name:
``ListModelPackages`` asks for the group, ``CreateModelPackage`` for the group and for a version whose number is not
known yet (``…/*``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import iam_keys, sagemaker
from mlops_kit.local.overlay.iam_evaluation import Call

Context = dict[str, str | Sequence[str]]

_VERBS = ("Create", "Delete", "Describe", "Retry", "Send", "Start", "Stop", "Update")
_KINDS = {
    "App": "app",
    "AutoMLJob": "automl-job",
    "CompilationJob": "compilation-job",
    "Context": "context",
    "Domain": "domain",
    "Endpoint": "endpoint",
    "EndpointConfig": "endpoint-config",
    "Experiment": "experiment",
    "FeatureGroup": "feature-group",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "InferenceComponent": "inference-component",
    "Model": "model",
    "ModelCard": "model-card",
    "ModelPackage": "model-package",
    "ModelPackageGroup": "model-package-group",
    "MonitoringSchedule": "monitoring-schedule",
    "Pipeline": "pipeline",
    "ProcessingJob": "processing-job",
    "TrainingJob": "training-job",
    "TransformJob": "transform-job",
    "Trial": "experiment-trial",
    "TrialComponent": "experiment-trial-component",
}
_OPERATION = re.compile(rf"({'|'.join(_VERBS)})({'|'.join(_KINDS)})")
_GROUP_POLICY = re.compile(r"(Delete|Get|Put)ModelPackageGroupPolicy")
_ROLES = ("RoleArn", "ExecutionRoleArn")
_ENDPOINT = ("UpdateEndpointWeightsAndCapacities", "InvokeEndpoint", "InvokeEndpointAsync")
_ON_PIPELINE = ("StartPipelineExecution", "ListPipelineExecutions", "DescribePipelineDefinitionForExecution")


def calls(operation: str, params: Mapping[str, Any], place: Place) -> list[Call] | None:
    """What ``operation`` asks for, or None if this table does not know it."""
    resources = _resources(operation, params, lambda kind, name: _arn(kind, name, place))
    if resources is None:
        return None
    if operation == "InvokeEndpointWithResponseStream":
        operation = "InvokeEndpoint"
    context = _context(operation, params)
    return [
        *(Call(f"sagemaker:{operation}", resource, context) for resource in resources),
        *_with_creation(operation, params, resources, place),
    ]


def _resources(operation: str, params: Mapping[str, Any], arn: Callable[[str, Any], str]) -> list[str] | None:
    if operation in ("AddTags", "DeleteTags", "ListTags"):
        return [str(params.get("ResourceArn"))]
    if operation == "CreateModelPackage" and (group := params.get("ModelPackageGroupName")):
        short = str(group).rsplit("/", 1)[-1]
        return [arn("model-package-group", group), arn("model-package", f"{short}/*")]
    if operation in ("CreateEndpoint", "UpdateEndpoint"):
        return [arn("endpoint", params.get("EndpointName")), arn("endpoint-config", params.get("EndpointConfigName"))]
    if operation in _ENDPOINT or operation == "InvokeEndpointWithResponseStream":
        return [arn("endpoint", params.get("EndpointName"))]
    if operation == "ListModelPackages":
        group = params.get("ModelPackageGroupName")
        return [arn("model-package-group", group) if group else "*"]
    if _GROUP_POLICY.fullmatch(operation):
        return [arn("model-package-group", params.get("ModelPackageGroupName"))]
    if operation in _ON_PIPELINE and params.get("PipelineName"):
        return [arn("pipeline", params["PipelineName"])]
    if "PipelineExecution" in operation:
        return [str(params.get("PipelineExecutionArn", "*"))]
    if operation.startswith("List") or operation in ("Search", "GetSearchSuggestions"):
        return ["*"]
    if (match := _OPERATION.fullmatch(operation)) is None:
        return None
    name = next((params[key] for key in (f"{match[2]}Name", f"{match[2]}Arn") if params.get(key)), None)
    return None if name is None else [arn(_KINDS[match[2]], name)]


def _arn(kind: str, name: Any, place: Place) -> str:
    """``name`` may be an ARN already, of another account even."""
    text = str(name)
    if text.startswith("arn:"):
        return text
    return f"arn:{place.partition}:sagemaker:{place.region}:{place.account}:{kind}/{text}"


def _with_creation(operation: str, params: Mapping[str, Any], resources: Sequence[str], place: Place) -> Iterator[Call]:
    if operation.startswith(("Create", "Start")) and params.get("Tags"):
        yield Call("sagemaker:AddTags", resources[0], tag_context(params["Tags"]))
    for name in _ROLES:
        if params.get(name) and operation.startswith(("Create", "Update", "Start")):
            passed: Context = {
                "iam:PassedToService": "sagemaker.amazonaws.com",
                "iam:AssociatedResourceArn": resources[0],
            }
            yield Call("iam:PassRole", str(params[name]), passed)
    if key := _volume_key(operation, params, place):
        grant: Context = {
            "kms:GrantIsForAWSResource": "true",
            "kms:ViaService": iam_keys.via("sagemaker", place.region),
            "kms:CallerAccount": place.account,
        }
        yield Call("kms:CreateGrant", iam_keys.arn(str(key), place.account, place.region), grant)


def _compute(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where each kind of job says on what it runs."""
    processing = (params.get("ProcessingResources") or {}).get("ClusterConfig")
    return params.get("ResourceConfig") or processing or params.get("TransformResources") or {}


def _volume_key(operation: str, params: Mapping[str, Any], place: Place) -> Any:
    """The key of the volumes that ``operation`` makes; those of an endpoint are described by its config."""
    if operation in ("CreateEndpoint", "UpdateEndpoint"):
        configs = sagemaker_backends[place.account][place.region].endpoint_configs
        return sagemaker.given(configs.get(params.get("EndpointConfigName"))).get("KmsKeyId")
    return _compute(params).get("VolumeKmsKeyId") if operation.startswith("Create") else None


def tag_context(tags: Sequence[Mapping[str, Any]]) -> Context:
    """``aws:RequestTag/…`` and ``aws:TagKeys`` of tags in a request, however the service spells key and value."""
    pairs = [(str(tag.get("Key", tag.get("key"))), str(tag.get("Value", tag.get("value", "")))) for tag in tags]
    return {"aws:TagKeys": [key for key, _ in pairs], **{f"aws:RequestTag/{key}": value for key, value in pairs}}


def _context(operation: str, params: Mapping[str, Any]) -> Context:
    """The condition keys of SageMaker that the request fills; one that it leaves out is absent, as on AWS."""
    compute, network = _compute(params), params.get("NetworkConfig") or {}
    vpc = params.get("VpcConfig") or network.get("VpcConfig") or {}
    variants = params.get("ProductionVariants") or []
    output = (
        params.get("OutputDataConfig") or params.get("TransformOutput") or params.get("ProcessingOutputConfig") or {}
    )
    isolation = params.get("EnableNetworkIsolation", network.get("EnableNetworkIsolation"))
    encrypted = params.get(
        "EnableInterContainerTrafficEncryption", network.get("EnableInterContainerTrafficEncryption")
    )
    types = [compute.get("InstanceType"), *(group.get("InstanceType") for group in compute.get("InstanceGroups") or [])]
    types += [variant.get("InstanceType") for variant in variants]
    volume_key = params.get("KmsKeyId") if operation == "CreateEndpointConfig" else compute.get("VolumeKmsKeyId")
    found: dict[str, Any] = {
        "sagemaker:InstanceTypes": [text for text in types if text],
        "sagemaker:VpcSubnets": vpc.get("Subnets"),
        "sagemaker:VpcSecurityGroupIds": vpc.get("SecurityGroupIds"),
        "sagemaker:MaxRuntimeInSeconds": (params.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds"),
        "sagemaker:NetworkIsolation": isolation,
        "sagemaker:InterContainerTrafficEncryption": encrypted,
        "sagemaker:OutputKmsKey": output.get("KmsKeyId"),
        "sagemaker:VolumeKmsKey": volume_key,
        "sagemaker:ModelArn": params.get("ModelName") if operation == "CreateTransformJob" else None,
        "sagemaker:ModelApprovalStatus": params.get("ModelApprovalStatus"),
        "sagemaker:TargetModel": params.get("TargetModel"),
        **{
            f"sagemaker:CustomerMetadataProperties/{key}": value
            for key, value in (params.get("CustomerMetadataProperties") or {}).items()
        },
    }
    context: Context = {name: _text(value) for name, value in found.items() if value not in (None, [], "")}
    if params.get("Tags"):
        context |= tag_context(params["Tags"])
    elif params.get("TagKeys"):
        context["aws:TagKeys"] = [str(key) for key in params["TagKeys"]]
    return context


def _text(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [str(part) for part in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
